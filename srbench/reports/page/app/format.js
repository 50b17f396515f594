"use strict";
/* Numbers as people read them, and elements built from text alone: nothing from the records is ever parsed as HTML. */

const NONE = "–";

srb.isNumber = (value) => typeof value === "number" && !Number.isNaN(value);

srb.number = (value, digits, sign = false) => {
  if (!srb.isNumber(value)) return NONE;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  let text = Math.abs(value).toFixed(digits);
  const zero = Number(text) === 0;
  if (value < 0 && !zero) text = `−${text}`;
  else if (sign && !zero) text = `+${text}`;
  return text;
};

/* 12809 → 12.8 K; three digits that count. */
srb.human = (value) => {
  if (!srb.isNumber(value)) return NONE;
  if (value === 0) return "0";
  for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "K"]]) {
    if (value >= unit * 0.9995) {
      const v = value / unit;
      return `${v.toFixed(v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2)} ${letter}`;
    }
  }
  return String(value);
};

/* Milliseconds, megabytes, minutes: three digits that count, thousands apart. */
srb.three = (value) => {
  if (!srb.isNumber(value)) return NONE;
  if (value >= 999.5) return Math.round(value).toLocaleString("en-GB").replaceAll(",", " ");
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2);
};

srb.p = (p) => (p >= 0.1 ? p.toFixed(2) : p >= 0.001 ? p.toFixed(3) : p.toExponential(0).replace("-", "−"));

/* el("b.best", {title: "…"}, "text", node): the only way elements are made here. */
srb.el = (what, attributes = {}, ...children) => {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else if (name in node && typeof value !== "string") node[name] = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

srb.options = (select, choices, chosen) => {
  select.replaceChildren(...choices.map(([value, text]) => srb.el("option", { value, selected: value === chosen }, text)));
};

srb.later = (act, wait = 120) => {
  let timer;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => act(...args), wait); };
};
