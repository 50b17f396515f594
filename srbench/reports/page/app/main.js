"use strict";
/* Controls, and what is drawn again when the state changes. */

/* Every family at this scale and protocol, filters and "best an architecture" aside. */
srb.everyRow = () => {
  const { all } = srb.state;
  srb.state.all = true;
  try { return srb.rows(); } finally { srb.state.all = all; }
};

srb.controls = (() => {
  const byId = (id) => document.getElementById(id);
  const unique = (values) => [...new Set(values)];

  const chip = (text, pressed, act, hint) => srb.el("button.chip", { type: "button", "aria-pressed": String(pressed), onclick: act, title: hint ?? null }, text);

  const draw = () => {
    const { d, s, p, all } = srb.state;
    const { tables } = srb.data;
    byId("datasets").replaceChildren(...Object.entries(srb.data.datasets).map(([name, info]) => {
      const there = Boolean(srb.table(name));
      const node = chip(info.title, d.includes(name), () => {
        const next = d.includes(name) ? d.filter((x) => x !== name) : Object.keys(srb.data.datasets).filter((x) => x === name || d.includes(x));
        if (next.length) srb.set({ d: next });
      }, there ? null : `no record at ×${s} under ${p}`);
      node.classList.toggle("absent", !there);
      node.value = name;
      return node;
    }));
    byId("scales").replaceChildren(...unique(tables.map((t) => t.scale)).sort().map((scale) => chip(`×${scale}`, scale === s, () => srb.set({ s: scale, z: "" }))));
    byId("protocols").replaceChildren(...unique(tables.map((t) => t.protocol)).map((id) => chip(srb.data.protocols[id].name, id === p, () => srb.set({ p: id }), srb.data.protocols[id].words)));
    srb.options(byId("device"), srb.data.devices.map((x) => [x.id, x.title]), srb.device());
    byId("device-box").hidden = srb.data.devices.length === 0;
    byId("device").disabled = srb.data.devices.length < 2;
    for (const node of document.querySelectorAll("#which button")) node.setAttribute("aria-pressed", String((node.value === "all") === all));
    byId("protocol-words").textContent = srb.data.protocols[p] ? `${p} ${srb.data.protocols[p].words}` : "";
    for (const [id, key] of [["f-params", "fp"], ["f-ms", "fms"], ["f-mb", "fmb"], ["f-db", "fdb"]]) {
      const node = byId(id), value = srb.state[key];
      if (document.activeElement !== node) node.value = value === null ? "" : key === "fp" ? value / 1e3 : value;
    }
    if (document.activeElement !== byId("search")) byId("search").value = srb.state.q;
    byId("pareto").checked = srb.state.par;
    const active = ["fp", "fms", "fmb", "fdb"].filter((k) => srb.state[k] !== null).length + (srb.state.par ? 1 : 0);
    byId("filter-count").textContent = active ? ` (${active})` : "";
    columns();
    chartControls();
  };

  const columns = () => {
    byId("columns").replaceChildren(...srb.leaderboard.choices().map(([id, title, usual]) => srb.el("label", {},
      srb.el("input", { type: "checkbox", checked: srb.leaderboard.isOn(id, usual), onchange: () => srb.leaderboard.toggle(id, usual) }), title)));
  };

  const chartControls = () => {
    const set = srb.chartSet(), table = srb.table(set);
    srb.options(byId("chart-set"), srb.state.d.map((n) => [n, srb.data.datasets[n]?.title ?? n]), set);
    srb.options(byId("per-set"), srb.state.d.map((n) => [n, srb.data.datasets[n]?.title ?? n]), set);
    srb.options(byId("chart-x"), Object.entries(srb.COSTS).map(([id, c]) => [id, c.title]), srb.chartX());
    srb.options(byId("chart-y"), (table?.metrics ?? []).map((m) => [m, srb.data.metrics[m].title]), srb.chartMetric());
    const perceptual = (table?.metrics ?? []).filter((m) => ["lpips", "dists", "pi", "niqe"].includes(m));
    srb.options(byId("chart-pd"), perceptual.map((m) => [m, srb.data.metrics[m].title]), srb.state.pd);
    byId("pd-box").hidden = perceptual.length === 0;
    byId("chart-pd").disabled = perceptual.length < 2;
    srb.options(byId("chart-bars"), [["paired", "difference to the best"], ["mean", "mean over images"], ["none", "none"]], srb.state.bars);
  };

  const counts = () => {
    const shown = srb.leaderboard.rows().length;
    const every = srb.rows().length;
    byId("count").textContent = shown === every ? `${shown} ${srb.state.all ? "checkpoints" : "models"}` : `${shown} of ${every} ${srb.state.all ? "checkpoints" : "models"}`;
    const { sel } = srb.state;
    byId("selection").hidden = sel.length === 0;
    byId("selected").textContent = `${sel.length} selected`;
  };

  const value = (node, factor = 1) => (node.value.trim() === "" || isNaN(node.value) ? null : Number(node.value) * factor);

  const setup = () => {
    const text = srb.later((key, node, factor) => srb.set({ [key]: value(node, factor) }), 150);
    for (const [id, key, factor] of [["f-params", "fp", 1e3], ["f-ms", "fms", 1], ["f-mb", "fmb", 1], ["f-db", "fdb", 1]]) {
      byId(id).addEventListener("input", (e) => text(key, e.target, factor));
    }
    byId("search").addEventListener("input", srb.later((e) => srb.set({ q: e.target.value.trim() }), 120));
    byId("pareto").addEventListener("change", (e) => srb.set({ par: e.target.checked }));
    byId("device").addEventListener("change", (e) => srb.set({ dev: e.target.value }));
    byId("reset").addEventListener("click", () => srb.set({ ...structuredClone(srb.opening), t: srb.state.t }));
    for (const node of document.querySelectorAll("#which button")) node.addEventListener("click", () => srb.set({ all: node.value === "all" }));
    for (const [id, key] of [["chart-x", "x"], ["chart-y", "y"], ["chart-pd", "pd"], ["chart-bars", "bars"], ["chart-set", "on"], ["per-set", "on"]]) {
      byId(id).addEventListener("change", (e) => srb.set({ [key]: e.target.value }));
    }
    byId("clear").addEventListener("click", () => srb.set({ sel: [] }));
    byId("compare").addEventListener("click", () => { srb.set({ m: [], mode: "side" }); byId("images").scrollIntoView({ behavior: "smooth" }); });
    for (const link of document.querySelectorAll("nav a[data-to]")) {  // the hash holds the state: it is no anchor here
      link.addEventListener("click", (event) => { event.preventDefault(); byId(link.dataset.to).scrollIntoView(); });
    }
    byId("theme").addEventListener("click", () => srb.set({ t: dark() ? "light" : "dark" }));
    document.addEventListener("click", (event) => {  // a menu closes when one clicks beside it
      for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    });
  };

  const dark = () => (srb.state.t ? srb.state.t === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  const theme = () => {
    const { t } = srb.state;
    if (t === "dark" || t === "light") document.documentElement.dataset.theme = t;
    else delete document.documentElement.dataset.theme;
    byId("theme").setAttribute("aria-label", dark() ? "light colours" : "dark colours");
    byId("theme").textContent = dark() ? "☀" : "☾";
  };

  return { draw, counts, setup, theme };
})();

srb.start = async () => {
  const data = await srb.load();
  srb.startState(data.opening);
  if (!data.tables.length) {
    srb.controls.theme();
    document.querySelector("main").replaceChildren(srb.el("section", {}, srb.el("p", {}, "There are no results yet: ", srb.el("code", {}, "srbench eval --all --datasets sample"), " makes the first.")));
    document.documentElement.dataset.ready = "yes";
    return;
  }
  srb.controls.setup();
  srb.leaderboard.setup();
  srb.viewer.setup();
  srb.perImage.setup();
  srb.drawer.setup();
  /* The table first; what lies below it follows when that has been painted. */
  const all = async () => {
    srb.controls.theme();
    srb.controls.draw();
    srb.leaderboard.refresh(true);
    srb.controls.counts();
    srb.drawer.draw();
    for (const part of [srb.charts, srb.viewer, srb.perImage]) {
      await new Promise((resolve) => { setTimeout(resolve); });
      part.draw();
    }
  };
  const TABLE = "d s p dev all cols q fp fms fmb fdb par";
  srb.watch("t", () => srb.controls.theme());
  srb.watch(`${TABLE} x y pd on bars`, () => srb.controls.draw());
  srb.watch(`${TABLE} x y on`, (changed) => {
    const light = ["x", "y", "on"];
    if ([...changed].some((key) => !light.includes(key)) || srb.state.par) srb.leaderboard.refresh(false);
  });
  srb.watch(`${TABLE} sel`, () => srb.controls.counts());
  srb.watch(`${TABLE} x y pd on bars`, () => srb.charts.draw());
  srb.watch("sel", () => { srb.leaderboard.repaint(); srb.charts.repaint(); });
  srb.watch(`${TABLE} on pm pa pb sel`, () => srb.perImage.draw());
  srb.watch("s p img m mode a b map sel z", () => srb.viewer.draw());
  srb.watch("open s p d", () => srb.drawer.draw());
  addEventListener("resize", srb.later(() => srb.leaderboard.refresh(false), 150));
  const redraw = srb.later(() => { srb.charts.draw(); srb.perImage.draw(); }, 100);
  const widths = new Map();
  const observer = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const before = widths.get(target);
      widths.set(target, contentRect.width);
      if (Math.abs((before ?? target.firstElementChild?.clientWidth ?? 0) - contentRect.width) > 2) redraw();
    }
  });
  for (const id of ["chart-cost", "dots"]) observer.observe(document.getElementById(id));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", srb.controls.theme);
  await all();
  document.documentElement.dataset.ready = "yes";
};

srb.start().catch((error) => {
  document.getElementById("broken").hidden = false;
  document.getElementById("broken").textContent = `The page could not be shown: ${error.message}`;
  throw error;
});
