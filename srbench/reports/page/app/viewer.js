"use strict";
/* Image comparison: panels with one zoom and pan, wipe, blink and error maps. */

srb.viewer = (() => {
  const byId = (id) => document.getElementById(id);
  let view = { k: 1, x: 0, y: 0 };  // screen pixels an image pixel; the image point in the middle of a panel
  let panels = [];
  let scene = null;
  let blinking = null, second = false;

  const list = () => srb.data.images.filter((i) => i.scale === srb.state.s);

  const keyOf = (i) => `${i.dataset}/${i.image}`;

  const current = () => list().find((i) => keyOf(i) === srb.state.img) ?? list()[0] ?? null;

  /* Stored models of an image as [key, title]. */
  const models = (image) =>
    Object.keys(image.files).filter((f) => !f.startsWith("@")).map((key) => [key, titleOf(key)]);

  const entrantOf = (key) => srb.data.entrants.find((e) => e.name === key);
  /* How many checkpoints of a title have stored images: data that stays, and is asked for at every painting. */
  let counts = null;
  const alike = (title) => {
    if (!counts) {
      counts = new Map();
      for (const key of new Set(srb.data.images.flatMap((image) => Object.keys(image.files)))) {
        const own = entrantOf(key)?.title;
        counts.set(own, (counts.get(own) ?? 0) + 1);
      }
    }
    return counts.get(title) ?? 0;
  };

  /* With its recipe where images of another training of the same network are stored as well. */
  const titleOf = (key) => {
    const who = entrantOf(key);
    return !who ? key : alike(who.title) > 1 ? `${who.title} ${who.recipe}` : who.title;
  };

  const titleIn = (key) => (key === "@lr" ? "LR" : key === "@hr" ? "HR" : titleOf(key));

  /* Shown models: those chosen here, else those picked in the table, else three that differ in kind: of most dB, small, least LPIPS. */
  const chosen = (image) => {
    const have = models(image).map(([key]) => key).filter((key) => key !== "bicubic");
    const { m, sel } = srb.state;
    const own = m.filter((key) => have.includes(key));
    if (m.length) return own;
    const picked = sel.filter((key) => have.includes(key));
    if (picked.length) return picked;
    const order = (key) => score(image, key, "psnr") ?? -1;
    const best = [...have].sort((a, b) => order(b) - order(a));
    const blur = (key) => score(image, key, "lpips") ?? 9;
    const sharp = [...have].sort((a, b) => blur(a) - blur(b)).find((key) => entrantOf(key)?.adversarial);
    const small = best.find((key) => key.startsWith("fsrcnn"));
    return [...new Set([best[0], small, sharp].filter(Boolean))].slice(0, 3);
  };

  const score = (image, key, metric) => {
    const table = srb.tables.get(`${image.dataset}|${image.scale}|${srb.data.imageProtocol}`);
    const at = table?.images.indexOf(image.image) ?? -1;
    if (at < 0) return null;
    const index = table.rows.findIndex((r) => srb.data.entrants[r.e].name === key);
    return index < 0 ? null : srb.scores(table, index, metric)?.[at] ?? null;
  };

  const draw = () => {
    const image = current();
    const section = byId("images");
    if (!image) {
      byId("stage").replaceChildren(srb.el("p.soft", {}, srb.data.images.length
        ? `There are images at ×${[...new Set(srb.data.images.map((i) => i.scale))].join(", ×")} only.`
        : "No images are stored. `srbench report --images sample` makes them; it needs torch."));
      section.classList.add("empty");
      return;
    }
    section.classList.remove("empty");
    if (scene?.image !== image) scene = { image };
    strip(image);
    const keys = chosen(image);
    chips(image, keys);
    choosers(image, keys);
    modes();
    stage(image, keys);
    fit(image);
    legend();
    proposals(image, keys);
    byId("image-note").textContent = note(image);
  };

  const note = (image) => {
    const [w, h] = image.size;
    const part = image.box ? `A ${image.box[2]}×${image.box[3]} crop at (${image.box[0]}, ${image.box[1]}) of the ${w}×${h} image; ` : `The whole ${w}×${h} image; `;
    const loss = image.lossy ? `stored as ${image.lossy}, so that pixels differ slightly from those that were measured; ` : "stored without loss, so each pixel is one that was measured; ";
    return `${part}${loss}scores are of the whole image under ${srb.data.imageProtocol}.`;
  };

  const strip = (image) => {
    const box = byId("strip");
    const wanted = list().map(keyOf).join("|");
    if (box.dataset.of !== wanted) {
      box.dataset.of = wanted;
      box.replaceChildren(...list().map((i) => {
        const canvas = srb.el("canvas", { width: 96, height: 64 });
        srb.pixels.bitmap(i.files["@hr"]).then((b) => {
          const r = Math.max(96 / b.width, 64 / b.height);
          const context = canvas.getContext("2d");
          context.imageSmoothingQuality = "high";
          context.drawImage(b, (96 - b.width * r) / 2, (64 - b.height * r) / 2, b.width * r, b.height * r);
        });
        return srb.el("button.thumb", { type: "button", "data-key": keyOf(i), title: `${srb.data.datasets[i.dataset]?.title ?? i.dataset}: ${i.image}`, onclick: () => srb.set({ img: keyOf(i), z: "" }) }, canvas, srb.el("span", {}, i.image));
      }));
    }
    for (const node of box.children) node.setAttribute("aria-pressed", String(node.dataset.key === keyOf(image)));
  };

  const chips = (image, keys) => {
    const all = models(image).filter(([key]) => key !== "bicubic");
    byId("chips").replaceChildren(...all.map(([key, title]) => srb.el("button.chip", {
      type: "button", "aria-pressed": String(keys.includes(key)), title: key,
      onclick: () => srb.set({ m: keys.includes(key) ? (keys.length > 1 ? keys.filter((k) => k !== key) : keys) : [...keys, key] }),
    }, title)));
  };

  const pair = (keys) => {
    const own = (key, other) => (key && current().files[key] ? key : other);
    return [own(srb.state.a, keys[0] ?? "@lr"), own(srb.state.b, "@hr")];
  };

  const choosers = (image, keys) => {
    const choices = [["@lr", "LR"], ...models(image), ["@hr", "HR"]];
    const [a, b] = pair(keys);
    srb.options(byId("pick-a"), choices, a);
    srb.options(byId("pick-b"), choices, b);
    byId("pair").hidden = srb.state.mode === "side";
  };

  const modes = () => {
    for (const node of document.querySelectorAll("#modes button")) node.setAttribute("aria-pressed", String(node.value === srb.state.mode));
    for (const node of document.querySelectorAll("#maps button")) node.setAttribute("aria-pressed", String(node.value === srb.state.map));
  };

  const stage = (image, keys) => {
    stop();
    const { mode } = srb.state;
    const [a, b] = pair(keys);
    const shown = mode === "side" ? ["@lr", ...(image.files.bicubic ? ["bicubic"] : []), ...keys, "@hr"] : mode === "wipe" ? [[a, b]] : [[a, b]];
    panels = shown.map((what) => panel(image, what));
    const box = byId("stage");
    box.className = `stage ${mode}`;
    const most = Math.max(1, Math.floor(box.clientWidth / (innerWidth < 600 ? 160 : 290)));
    const lines = Math.ceil(panels.length / most);
    box.style.setProperty("--columns", mode === "side" ? Math.ceil(panels.length / lines) : 1);
    box.replaceChildren(...panels.map((p) => p.node));
    if (mode === "blink") start();
  };

  const panel = (image, what) => {
    const canvas = srb.el("canvas", { tabindex: "0", role: "img" });
    const caption = srb.el("figcaption");
    const node = srb.el("figure.panel", {}, canvas, caption);
    const p = { image, what, canvas, caption, node, layers: [] };
    words(p);
    gestures(p);
    return p;
  };

  const words = (p) => {
    const side = (key) => [srb.el("b", { title: key.startsWith("@") ? null : key }, titleIn(key)), srb.el("span.figures", {}, scoresOf(p.image, key))];
    const keys = Array.isArray(p.what) ? p.what : [p.what];
    const flipped = srb.state.mode === "blink" && keys.length === 2;
    p.caption.replaceChildren(...(flipped ? side(keys[second ? 1 : 0]) : keys.length === 2 ? [srb.el("div", {}, ...side(keys[0])), srb.el("div.end", {}, ...side(keys[1]))] : side(keys[0])));
    p.canvas.setAttribute("aria-label", keys.map(titleIn).join(" and "));
    p.node.dataset.key = keys.join(" ");
  };

  const scoresOf = (image, key) => {
    if (key === "@hr") return "reference";
    if (key === "@lr") return `1/${image.scale} in size, what networks see`;
    const parts = [];
    for (const metric of ["psnr", "ssim", "lpips"]) {
      const value = score(image, key, metric);
      const info = srb.data.metrics[metric];
      if (srb.isNumber(value)) parts.push(`${metric === "psnr" ? "" : `${info.title} `}${srb.number(value, metric === "psnr" ? 2 : 3)}${metric === "psnr" ? " dB" : ""}`);
    }
    return parts.join(" · ") || "no score stored";
  };

  /* What is drawn for a key: the image, or its error map where one is asked for. */
  const source = async (image, key) => {
    const id = image.files[key];
    if (srb.state.map && key !== "@lr" && key !== "@hr") return srb.pixels.errorMap(id, image.files["@hr"], srb.state.map);
    return srb.pixels.bitmap(id);
  };

  const extent = (image) => (image.box ? [image.box[2], image.box[3]] : image.size);

  const whole = (image) => {
    const [w, h] = extent(image), canvas = panels[0]?.canvas;
    return canvas ? Math.min(canvas.clientWidth / w, canvas.clientHeight / h) : 1;
  };

  const fit = (image) => {
    const [w, h] = extent(image);
    for (const p of panels) p.canvas.style.aspectRatio = `${w} / ${h}`;
    const [k, x, y] = srb.state.z.split(",").map(Number);
    view = k > 0 && Number.isFinite(x) && Number.isFinite(y) ? { k: Math.max(k, 0.05), x, y } : { k: whole(image), x: w / 2, y: h / 2 };
    paint();
  };

  const isWhole = () => scene && Math.abs(view.k / whole(scene.image) - 1) < 0.01;

  let queued = false;
  const paint = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; panels.forEach(paintOne); zoomText(); });
  };

  const zoomText = () => {
    byId("zoom-text").textContent = `${Math.round(view.k * 100)} %`;
    for (const p of panels) p.canvas.style.touchAction = isWhole() ? "pan-y" : "none";
  };

  const paintOne = async (p) => {
    const keys = Array.isArray(p.what) ? p.what : [p.what];
    const turn = (p.turn = (p.turn ?? 0) + 1);
    const layers = await Promise.all(keys.map((key) => source(p.image, key)));
    if (turn !== p.turn) return;
    const ratio = devicePixelRatio || 1, { canvas } = p;
    const w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
    if (!w || !h) return;
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, w, h);
    const put = (layer) => {
      const size = extent(p.image)[0] / layer.width;  // LR is drawn as large as HR
      const k = view.k * ratio;
      c.imageSmoothingEnabled = k * size < 1;
      c.imageSmoothingQuality = "high";
      c.drawImage(layer, w / 2 - view.x * k, h / 2 - view.y * k, layer.width * k * size, layer.height * k * size);
    };
    if (srb.state.mode === "wipe" && layers.length === 2) {
      const cut = Math.round((w * (srb.state.w ?? 50)) / 100);
      for (const [layer, x0, x1] of [[layers[0], 0, cut], [layers[1], cut, w]]) {
        c.save(); c.beginPath(); c.rect(x0, 0, x1 - x0, h); c.clip(); put(layer); c.restore();
      }
      c.fillStyle = "#fff"; c.fillRect(cut - ratio, 0, 2 * ratio, h);
      c.beginPath(); c.arc(cut, h / 2, 11 * ratio, 0, 7); c.fill();
      c.fillStyle = "#333"; c.font = `${13 * ratio}px sans-serif`; c.textAlign = "center"; c.textBaseline = "middle"; c.fillText("↔", cut, h / 2);
    } else put(layers[srb.state.mode === "blink" && second ? 1 : 0]);
    canvas.dataset.painted = String(turn);
  };

  const clamp = () => {
    const [w, h] = extent(scene.image);
    view.x = Math.min(w, Math.max(0, view.x)); view.y = Math.min(h, Math.max(0, view.y));
  };

  const keep = srb.later(() => {
    srb.state.z = isWhole() ? "" : [view.k, view.x, view.y].join(",");
    srb.writeHash();
  }, 150);

  /* As exact as the hash has it: who opens a view that was sent sees the same pixels. */
  const moved = () => {
    clamp();
    if (!isWhole()) for (const part of ["k", "x", "y"]) view[part] = +view[part].toFixed(3);
    paint();
    keep();
  };

  /* Zoom by a factor about a point of the panel. */
  const zoom = (factor, px, py, canvas) => {
    const k = Math.min(64, Math.max(whole(scene.image) * 0.5, view.k * factor));
    const dx = px - canvas.clientWidth / 2, dy = py - canvas.clientHeight / 2;
    view.x += dx / view.k - dx / k; view.y += dy / view.k - dy / k; view.k = k;
    if (isWhole()) { const [w, h] = extent(scene.image); view = { k: whole(scene.image), x: w / 2, y: h / 2 }; }
    moved();
  };

  const gestures = (p) => {
    const { canvas } = p, fingers = new Map();
    let wiping = false;
    const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...at(event), canvas); }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at(event));
      const cut = (canvas.clientWidth * (srb.state.w ?? 50)) / 100;
      wiping = srb.state.mode === "wipe" && fingers.size === 1 && Math.abs(at(event)[0] - cut) < 18;
    });
    canvas.addEventListener("pointermove", (event) => {
      const old = fingers.get(event.pointerId);
      if (!old) { if (srb.state.mode === "wipe") canvas.style.cursor = Math.abs(at(event)[0] - (canvas.clientWidth * (srb.state.w ?? 50)) / 100) < 18 ? "ew-resize" : "grab"; return; }
      const now = at(event);
      if (wiping) {
        srb.state.w = Math.round(Math.min(100, Math.max(0, (100 * now[0]) / canvas.clientWidth)) * 10) / 10;
        paint(); keep();
      } else if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const before = Math.hypot(old[0] - other[0], old[1] - other[1]), after = Math.hypot(now[0] - other[0], now[1] - other[1]);
        if (before > 0) zoom(after / before, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2, canvas);
      } else if (event.pointerType !== "touch" || !isWhole()) {
        view.x -= (now[0] - old[0]) / view.k; view.y -= (now[1] - old[1]) / view.k; moved();
      }
      fingers.set(event.pointerId, now);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => { fingers.delete(event.pointerId); wiping = false; });
    canvas.addEventListener("dblclick", (event) => zoom(2, ...at(event), canvas));
    canvas.addEventListener("keydown", (event) => keyboard(event, canvas));
  };

  const keyboard = (event, canvas) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = canvas.clientWidth / 8 / view.k;
    const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    const acts = {
      ArrowLeft: () => { view.x -= step; moved(); }, ArrowRight: () => { view.x += step; moved(); },
      ArrowUp: () => { view.y -= step; moved(); }, ArrowDown: () => { view.y += step; moved(); },
      "+": () => zoom(1.5, ...middle, canvas), "=": () => zoom(1.5, ...middle, canvas), "-": () => zoom(1 / 1.5, ...middle, canvas),
      0: () => reset(), 1: () => { view.k = 1; moved(); },
      "[": () => wipe(-5), "]": () => wipe(5), " ": () => turn(),
      s: () => srb.set({ mode: "side" }), w: () => srb.set({ mode: "wipe" }), b: () => srb.set({ mode: "blink" }),
      e: () => srb.set({ map: { "": "abs", abs: "flip", flip: "" }[srb.state.map] ?? "" }),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    if (["s", "w", "b"].includes(event.key)) panels[0]?.canvas.focus();
  };

  const wipe = (by) => { srb.state.w = Math.min(100, Math.max(0, (srb.state.w ?? 50) + by)); paint(); keep(); };

  const reset = () => { const [w, h] = extent(scene.image); view = { k: whole(scene.image), x: w / 2, y: h / 2 }; moved(); };

  const turn = () => { second = !second; panels.forEach((p) => { words(p); }); paint(); };

  const start = () => {
    second = false;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;  // by the space bar alone
    blinking = setInterval(turn, 700);
  };

  const stop = () => { clearInterval(blinking); blinking = null; second = false; };

  const legend = () => {
    const box = byId("colour-bar");
    const map = srb.pixels.MAPS[srb.state.map];
    box.hidden = !map;
    if (!map) return;
    const canvas = box.querySelector("canvas"), c = canvas.getContext("2d");
    for (let i = 0; i < 256; i++) {
      c.fillStyle = `rgb(${srb.pixels.PALETTE.slice(3 * i, 3 * i + 3).join(",")})`;
      c.fillRect(i, 0, 1, 10);
    }
    byId("bar-title").textContent = map.title;
    byId("bar-low").textContent = "0";
    byId("bar-middle").textContent = String(map.most / 2);
    byId("bar-high").textContent = `≥ ${map.most}${map.unit ? ` ${map.unit}` : ""}`;
  };

  /* Buttons that jump to where the shown models differ most. */
  const proposals = async (image, keys) => {
    const box = byId("proposals");
    const mark = `${keyOf(image)}|${keys.join()}`;
    if (box.dataset.of === mark) return;
    box.dataset.of = mark;
    box.replaceChildren();
    const ids = [...keys, ...(keys.length < 2 ? ["@hr"] : [])].map((key) => image.files[key]).filter(Boolean);
    if (ids.length < 2) return;
    const [w, h] = extent(image);
    const crops = await srb.pixels.differ(ids, Math.max(24, Math.round(Math.min(w, h) / 5)));
    if (box.dataset.of !== mark) return;
    const best = await srb.pixels.bitmap(image.files["@hr"]);
    box.replaceChildren(...crops.map((crop, i) => {
      const canvas = srb.el("canvas", { width: 48, height: 48 });
      canvas.getContext("2d").drawImage(best, crop.x, crop.y, crop.w, crop.h, 0, 0, 48, 48);
      return srb.el("button.crop", { type: "button", title: `crop ${i + 1}: the shown models lie ${crop.score.toFixed(1)} grey levels apart on average`, onclick: () => jump(crop) }, canvas);
    }));
  };

  const jump = (crop) => {
    const canvas = panels[0].canvas;
    view = { k: 0.9 * Math.min(canvas.clientWidth / crop.w, canvas.clientHeight / crop.h), x: crop.x + crop.w / 2, y: crop.y + crop.h / 2 };
    moved();
  };

  const setup = () => {
    for (const node of document.querySelectorAll("#modes button")) node.addEventListener("click", () => srb.set({ mode: node.value }));
    for (const node of document.querySelectorAll("#maps button")) node.addEventListener("click", () => srb.set({ map: node.value }));
    byId("pick-a").addEventListener("change", (e) => srb.set({ a: e.target.value }));
    byId("pick-b").addEventListener("change", (e) => srb.set({ b: e.target.value }));
    byId("zoom-in").addEventListener("click", () => { const c = panels[0]?.canvas; if (c) zoom(1.5, c.clientWidth / 2, c.clientHeight / 2, c); });
    byId("zoom-out").addEventListener("click", () => { const c = panels[0]?.canvas; if (c) zoom(1 / 1.5, c.clientWidth / 2, c.clientHeight / 2, c); });
    byId("zoom-fit").addEventListener("click", () => scene && reset());
    new ResizeObserver(srb.later(() => { if (scene) { if (!srb.state.z) fit(scene.image); else paint(); } }, 60)).observe(byId("stage"));
  };

  return { draw, setup, view: () => view };
})();
