"use strict";
/* The page's state and its place in the URL's hash: what differs from the opening view is written there, so a view can be sent. */

const srb = { watchers: [], state: null, opening: null };

/* Each key with the type that the hash is read as. Lists are joined by commas; names are percent-encoded. */
srb.KEYS = {
  d: "list", s: "number", p: "text", dev: "text", all: "flag", pub: "flag", cols: "list", q: "text",
  fp: "number", fms: "number", fmb: "number", fdb: "number", par: "flag", sort: "text", sel: "list",
  x: "text", y: "text", pd: "text", on: "text", bars: "text",
  img: "text", m: "list", mode: "text", a: "text", b: "text", map: "text", z: "text", w: "number",
  pm: "text", pa: "text", pb: "text", open: "text", t: "text",
};

srb.readHash = (hash) => {
  const state = structuredClone(srb.opening);
  for (const part of hash.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    const key = part.slice(0, at);
    if (at < 0 || !Object.hasOwn(srb.KEYS, key)) continue;
    const kind = srb.KEYS[key], code = part.slice(at + 1);
    let texts;  // a comma inside a name is encoded, one between names is not
    try { texts = (kind === "list" ? code.split(",") : [code]).map(decodeURIComponent); } catch { continue; }
    const [text] = texts;
    if (kind === "list") state[key] = code ? texts : [];
    else if (kind === "number") state[key] = text === "" || isNaN(text) ? null : Number(text);
    else if (kind === "flag") state[key] = text === "1";
    else state[key] = text;
  }
  return state;
};

srb.writeHash = () => {
  const parts = [];
  for (const [key, kind] of Object.entries(srb.KEYS)) {
    const value = srb.state[key];
    if (JSON.stringify(value) === JSON.stringify(srb.opening[key])) continue;
    const code = (text) => encodeURIComponent(String(text));
    const text = kind === "list" ? value.map(code).join(",") : kind === "flag" ? (value ? "1" : "0") : code(value ?? "");
    parts.push(`${key}=${text}`);
  }
  const hash = parts.length ? `#${parts.join("&")}` : "#";
  if (hash !== location.hash && !(hash === "#" && !location.hash)) history.replaceState(null, "", hash);
};

/* Watchers get the set of the keys that changed. */
srb.set = (patch) => {
  const changed = new Set();
  for (const [key, value] of Object.entries(patch)) {
    if (JSON.stringify(srb.state[key]) !== JSON.stringify(value)) changed.add(key);
    srb.state[key] = value;
  }
  if (!changed.size) return;
  srb.writeHash();
  srb.tell(changed);
};

srb.tell = (changed) => srb.watchers.forEach((watcher) => watcher(changed));

srb.watch = (keys, act) => {
  const wanted = keys.split(" ");
  srb.watchers.push((changed) => { if (wanted.some((key) => changed.has(key))) act(changed); });
};

srb.startState = (opening) => {
  srb.opening = opening;
  srb.state = srb.readHash(location.hash);
  addEventListener("hashchange", () => {
    const before = srb.state;
    srb.state = srb.readHash(location.hash);
    const keys = Object.keys(srb.KEYS).filter((k) => JSON.stringify(before[k]) !== JSON.stringify(srb.state[k]));
    if (keys.length) srb.tell(new Set(keys));
  });
};
