"use strict";
/* The table: Tabulator does scrolling, sorting and sticky places; what stands in a cell is built here from text nodes. */

srb.leaderboard = (() => {
  let grid = null, shown = [], columns = [], built = "";

  const right = { hozAlign: "right", headerHozAlign: "right" };

  /* Columns without a dataset; `more` ones are off at first. */
  const COMMON = {
    params: { title: "params", hint: "trainable parameters", get: (r) => r.parameters, show: srb.human, low: true },
    madds: { title: "mult-adds", hint: "multiply-adds really done for a 1280×720 output", get: (r) => r.speed?.madds ?? null, show: srb.human, low: true },
    ms: { title: "ms", hint: "median of one pass of the network, 1280×720 output, on the device chosen above", get: (r) => r.speed?.ms ?? null, low: true },
    mb: { title: "MB", hint: "peak memory of network, image and pass in a fresh process", get: (r) => r.speed?.mb ?? null, show: srb.three, low: true },
    ips: { title: "images/s", hint: "at the best batch that was tried", get: (r) => r.speed?.ips ?? null, show: srb.three, more: true },
    min: { title: "training", hint: "minutes of training on the machine that the card names", get: (r) => r.minutes, low: true },
    data: { title: "trained on", get: (r) => (r.who.data ?? []).join(" + "), text: true, more: true },
    name: { title: "checkpoint", get: (r) => r.who.name, text: true, more: true },
  };

  /* Kinds of columns of a dataset. */
  const parts = (metric, info) => ({
    [metric]: { title: info.title, more: false },
    [`${metric}.pub`]: { title: "paper", more: false },
    [`${metric}.delta`]: { title: "Δ", more: true },
    [`${metric}.ci`]: { title: "95 %", more: true },
  });

  /* Which columns can be chosen: [id, label, on at first]. */
  const choices = () => {
    const { d } = srb.state;
    const found = [];
    for (const metric of metricsOf(d)) {
      const info = srb.data.metrics[metric];
      const usual = ["psnr", "ssim", "lpips"].includes(metric);
      found.push([metric, info.title, usual]);
      if (hasPublished(d, metric)) {
        found.push([`${metric}.pub`, `${info.title}, paper`, metric === "psnr"]);
        found.push([`${metric}.delta`, `${info.title}, Δ to paper`, false]);
      }
      found.push([`${metric}.ci`, `${info.title}, 95 % interval`, false]);
    }
    for (const [id, c] of Object.entries(COMMON)) found.push([id, c.label ?? c.title, !c.more]);
    return found;
  };

  const metricsOf = (datasets) => {
    const seen = new Set(datasets.flatMap((name) => srb.table(name)?.metrics ?? []));
    return Object.keys(srb.data.metrics).filter((m) => seen.has(m));
  };

  const hasPublished = (datasets, metric) => datasets.some((name) =>
    srb.table(name)?.rows.some((r) => Array.isArray(r.m[metric]) && srb.isNumber(r.m[metric][3])));

  /* `cols` holds the differences from what is on at first: "+lr-psnr", "-ms". */
  const isOn = (id, usual) => (usual ? !srb.state.cols.includes(`-${id}`) : srb.state.cols.includes(`+${id}`));

  const toggle = (id, usual) => {
    const mark = `${usual ? "-" : "+"}${id}`;
    const { cols } = srb.state;
    srb.set({ cols: cols.includes(mark) ? cols.filter((c) => c !== mark) : [...cols, mark] });
  };

  const head = (text, hint) => () => srb.el("span", { title: hint ?? null }, text);

  const column = (id, title, hint, low, cellOf, textual = false) => ({
    title: "", field: id, titleFormatter: head(title, hint), formatter: (cell) => cellOf(cell.getData().row, cell),
    sorter: compare, headerSortStartingDir: low || textual ? "asc" : "desc", resizable: false,
    ...(textual ? {} : right),
  });

  /* What has no number is last in both directions. */
  const compare = (a, b, _x, _y, _column, direction) => {
    const empty = (v) => v === null || v === undefined || v === "";
    if (empty(a) || empty(b)) return empty(a) && empty(b) ? 0 : (empty(a) ? 1 : -1) * (direction === "asc" ? 1 : -1);
    return typeof a === "string" ? a.localeCompare(b) : a === b ? 0 : a < b ? -1 : 1;
  };

  const place = (id, text) => {
    const p = podium.get(id);
    return p && text === p[0] ? "best" : p && text === p[1] ? "second" : "";
  };
  const podium = new Map();
  const places = new Map();

  /* Places among the rows shown, by the mean of the first metric on the largest dataset; equal means share one. */
  const number = (rows) => {
    places.clear();
    const name = srb.leading();
    const metric = srb.table(name)?.metrics[0];
    if (!metric) return;
    const mean = (row) => row.cells[name]?.m[metric]?.mean;
    const ranked = rows.filter((row) => srb.isNumber(mean(row)));
    for (const row of ranked) places.set(row.key, `${1 + ranked.filter((other) => srb.better(metric, mean(other), mean(row))).length}`);
  };

  /* The best and the second best text of a column; what reads the same is equally good. */
  const award = (id, rows, get, show, higher) => {
    const values = rows.map(get).filter(srb.isNumber).sort((a, b) => (higher ? b - a : a - b));
    const texts = [...new Set(values.map(show))];
    podium.set(id, texts.length > 2 ? texts.slice(0, 2) : []);
  };

  const datasetColumns = (name) => {
    const table = srb.table(name);
    const group = [];
    for (const metric of table?.metrics ?? []) {
      const info = srb.data.metrics[metric];
      const usual = ["psnr", "ssim", "lpips"].includes(metric);
      const of = (row) => row.cells[name]?.m[metric];
      const show = (v) => srb.number(v, info.digits);
      const id = `${name}|${metric}`;
      const arrow = info.higher ? "↑" : "↓";
      if (isOn(metric, usual)) {
        group.push({
          ...column(id, `${info.title} ${arrow}`, `${info.title}${info.unit ? ` in ${info.unit}` : ""}, mean over ${table.images.length} images`, !info.higher, (row) => score(row, of(row), id, show, info)),
          cssClass: metric === table.metrics[0] ? "main" : "", get: (row) => of(row)?.mean ?? null,
        });
        columns.push({ id, get: (row) => of(row)?.mean ?? null, show, higher: info.higher });
      }
      if (hasPublished([name], metric) && isOn(`${metric}.pub`, metric === "psnr")) {
        group.push({
          ...column(`${id}.pub`, "paper", "published figure; hover for its source. A small letter: measured under that other protocol (c: classic)", !info.higher, (row) => {
            const m = of(row);
            if (!srb.isNumber(m?.published)) return srb.el("span.none", {}, NONE);
            const source = srb.data.sources[m.source] ?? "";
            if (!m.other) return srb.el("span.paper", { title: source }, show(m.published));
            return srb.el("span.paper.other", { title: `measured under ${m.other}, so not to be subtracted: ${source}` }, show(m.published), srb.el("sup", {}, m.other[0]));
          }), get: (row) => of(row)?.published ?? null,
        });
      }
      if (hasPublished([name], metric) && isOn(`${metric}.delta`, false)) {
        group.push({ ...column(`${id}.delta`, "Δ", "ours minus the published figure", !info.higher, (row) => srb.el("span", {}, srb.number(of(row)?.delta, info.digits, true))), get: (row) => of(row)?.delta ?? null });
      }
      if (isOn(`${metric}.ci`, false)) {
        group.push({
          ...column(`${id}.ci`, "95 %", "interval of the mean over images", false, (row) => {
            const m = of(row);
            return srb.el("span.soft", {}, srb.isNumber(m?.low) ? `${show(m.low)} to ${show(m.high)}` : NONE);
          }), get: (row) => { const m = of(row); return srb.isNumber(m?.low) ? m.high - m.low : null; },
        });
      }
    }
    const title = `${srb.data.datasets[name].title} ×${srb.state.s}`;
    const small = table && !table.separable ? srb.el("span.hint", { title: `${table.images.length} images: the least p that the paired test can give is ${srb.p(table.least)}, so it cannot tell any two apart` }, "not separable") : "";
    return { title: "", titleFormatter: () => srb.el("span.over", {}, title, " ", small), columns: group, headerHozAlign: "left" };
  };

  const score = (row, m, id, show, info) => {
    if (!m || !srb.isNumber(m.mean)) return srb.el("span.none", { title: m?.status ?? "no number" }, NONE);
    const text = show(m.mean);
    const spread = m.sd === null || info !== srb.data.metrics[srb.data.opening.y] ? null : srb.el("small.sd", { title: `standard deviation of ${m.n} seeds` }, `±${srb.number(m.sd, info.digits)}`);
    const seeds = m.sd === null ? "" : `; standard deviation of ${m.n} seeds ${srb.number(m.sd, info.digits + 1)}`;
    const hint = srb.isNumber(m.low) ? `95 % interval of the mean over images: ${show(m.low)} to ${show(m.high)}${seeds}` : null;
    return srb.el("span", { title: hint }, spread, srb.el(`span.${place(id, text) || "plain"}`, {}, text));
  };

  const nameCell = (row) => {
    const box = srb.el("input", {
      type: "checkbox", checked: srb.state.sel.includes(row.key), "aria-label": `select ${row.title}`,
      onclick: (event) => { event.stopPropagation(); srb.pick(row.key); },
    });
    const open = srb.el("button.name", { type: "button", onclick: () => srb.set({ open: row.key }) }, row.title);
    const rank = rankOf(row);
    rank[0] = places.get(row.key) ?? "";
    return srb.el("div.who", {}, box, srb.el("span.rank", { title: rank[1] }, rank[0]),
      srb.el("div", {}, srb.el("div.called", {}, open, alarm(row)), srb.el("div.marks", { title: row.marks.join(" · ") }, row.marks.join(" · "))));
  };

  /* What makes a row's numbers doubtful: a sign to point at; the drawer has the sentences too. */
  const alarm = (row) => {
    const notes = Object.entries(row.cells).flatMap(([set, cell]) => cell.notes.map((text) => `${srb.data.datasets[set].title}: ${text}`));
    return notes.length ? srb.el("span.alarm", { title: notes.join("\n"), role: "img", "aria-label": `doubtful: ${notes.join("; ")}` }, "!") : null;
  };

  /* Place by the mean on the largest dataset that ranks the row; the interval of places where the images suffice. */
  const rankOf = (row) => {
    for (const name of [...srb.state.d].sort((a, b) => srb.size(b) - srb.size(a))) {
      const rank = row.cells[name]?.rank;
      if (!rank) continue;
      const [at, low, high, first, p] = rank;
      const set = srb.data.datasets[name].title;
      if (!srb.isNumber(low)) return [`${at}`, `place ${at} among all checkpoints by the mean on ${set}; too few images to tell any two apart`];
      const best = first >= 0.005 ? `; best of all in ${Math.round(first * 100)} % of the resamples` : "";
      const apart = srb.isNumber(p) ? `; ${p > 0.05 ? "not told apart from the best" : "told apart from the best"} (p = ${p < 0.001 ? "< .001" : p.toPrecision(2)} after Holm)`.replace("= <", "<") : "";
      return [`${at}`, `place ${at} among all checkpoints on ${set}; over other such images ${low === high ? `${low}` : `${low} to ${high}`} (95 %)${best}${apart}`];
    }
    return ["", "no rank"];
  };

  const commonColumns = (rows) => {
    const found = [];
    for (const [id, c] of Object.entries(COMMON)) {
      if (!isOn(id, !c.more) || !rows.some((r) => { const v = c.get(r); return c.text ? v : srb.isNumber(v); })) continue;
      const cell = (row) => {
        if (c.text) return srb.el("span.soft", {}, c.get(row) || NONE);
        if (id === "ms") return latency(row);
        if (id === "min") return srb.el("span", {}, srb.isNumber(row.minutes) ? `${srb.number(row.minutes, row.minutes < 9.95 ? 1 : 0)} min` : NONE);
        return srb.el("span", {}, (c.show ?? srb.three)(c.get(row)));
      };
      found.push({ ...column(id, c.title, c.hint, c.low, cell, c.text), get: c.get });
    }
    return { title: "", titleFormatter: () => srb.el("span.over", {}, "cost"), columns: found, headerHozAlign: "left" };
  };

  const latency = (row) => {
    const s = row.speed;
    if (!s) return srb.el("span.none", {}, NONE);
    const range = srb.isNumber(s.p10) ? `p10 ${srb.three(s.p10)}, p90 ${srb.three(s.p90)}; ` : "";
    const hint = `${range}n = ${s.n}${s.doubts?.length ? `; read with care: ${s.doubts.join(", ")}` : ""}`;
    return srb.el("span", { title: hint }, s.doubts?.length ? srb.el("span.doubt", {}, "~") : null, srb.three(s.ms));
  };

  const define = (rows) => {
    columns = [];
    const names = srb.state.d.filter((name) => srb.table(name));
    if (narrow()) names.sort((a, b) => srb.size(b) - srb.size(a));  // what sorts is seen without scrolling
    const name = {
      title: "", field: "who", frozen: true, titleFormatter: head("model"), formatter: (cell) => nameCell(cell.getData().row), sorter: compare,
      headerSortStartingDir: "asc", resizable: false, cssClass: "frozen", get: (row) => row.title, width: narrow() ? 156 : 276,
    };
    const groups = [...names.map(datasetColumns), commonColumns(rows)].filter((g) => g.columns.length);
    return [name, ...groups];
  };

  const narrow = () => innerWidth < 600;

  const leaves = (defs) => defs.flatMap((def) => def.columns ?? [def]);

  /* Tabulator refuses keys that it does not know. */
  const clean = (def) => {
    const { get: _get, ...rest } = def;
    return rest.columns ? { ...rest, columns: rest.columns.map(clean) } : rest;
  };

  const sortNow = (defs) => {
    const [field, direction] = srb.state.sort.split(/:(?=[^:]*$)/);
    const known = leaves(defs).some((c) => c.field === field);
    if (known) return [{ column: field, dir: direction === "asc" ? "asc" : "desc" }];
    const first = usual(defs);
    return first ? [{ column: first.field, dir: first.headerSortStartingDir }] : [];
  };

  /* The column that sorts unless another is chosen. */
  const usual = (defs) => {
    const name = srb.leading(), metric = srb.table(name)?.metrics[0];
    return leaves(defs).find((c) => c.field === `${name}|${metric}`) ?? leaves(defs)[1];
  };

  const refresh = (rebuild) => {
    shown = srb.visible();
    const defs = define(shown);
    const fields = leaves(defs);
    number(shown);
    for (const c of columns) award(c.id, shown, c.get, c.show, c.higher);
    const data = shown.map((row) => ({ id: row.key, row, ...Object.fromEntries(fields.map((c) => [c.field, c.get(row)])) }));
    const layout = JSON.stringify([fields.map((c) => c.field), narrow(), srb.state.s, srb.state.p, srb.device()]);
    if (!grid || rebuild || layout !== built) {
      built = layout;
      grid?.destroy();
      grid = new Tabulator("#grid", {
        data, columns: defs.map(clean), layout: "fitData", maxHeight: "min(46rem, 82vh)", index: "id", nestedFieldSeparator: false,
        initialSort: sortNow(defs), headerSortTristate: false, columnHeaderVertAlign: "bottom", placeholder: "No model passes these filters.",
        columnDefaults: { headerSortTristate: false }, rowFormatter: paint,
      });
      grid.on("dataSorted", (sorters) => {
        if (!sorters.length) return;
        const sort = `${sorters[0].field}:${sorters[0].dir}`;
        const first = usual(defs);
        srb.set({ sort: first && sort === `${first.field}:${first.headerSortStartingDir}` ? "" : sort });
      });
      grid.on("tableBuilt", () => {
        for (const head of document.querySelectorAll("#grid .tabulator-col.tabulator-sortable")) head.tabIndex = 0;
      });
      grid.on("rowMouseEnter", (_event, row) => srb.hover(row.getData().id, "table"));
      grid.on("rowMouseLeave", () => srb.hover(null, "table"));
    } else {
      grid.replaceData(data);
    }
    srb.folded();
  };

  /* A head that has the focus sorts on Enter and space as it does on a click, and is seen whole beside the fixed column. */
  const keys = () => {
    const box = document.getElementById("grid");
    const sortable = (event) => event.target.matches(".tabulator-col.tabulator-sortable");
    box.addEventListener("keydown", (event) => {
      if (!sortable(event) || ![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      event.target.click();
    });
    box.addEventListener("focusin", (event) => {
      if (!sortable(event) || event.target.classList.contains("tabulator-frozen")) return;
      const holder = box.querySelector(".tabulator-tableholder"), fixed = box.querySelector(".tabulator-col.tabulator-frozen");
      const at = event.target.getBoundingClientRect(), left = fixed.getBoundingClientRect().right, right = holder.getBoundingClientRect().right;
      box.querySelector(".tabulator-header-contents").scrollLeft = holder.scrollLeft;  // what the browser moved by itself
      holder.scrollLeft += at.left < left ? at.left - left : Math.max(0, at.right - right);
    });
  };

  /* On paper stands every row, where the table on the screen has those in sight: a plain copy, for as long as it prints. */
  const print = () => {
    addEventListener("beforeprint", () => {
      const defs = define(shown);
      const th = (def, more) => srb.el(def.headerHozAlign === "right" ? "th.number" : "th", { scope: "col", ...more }, def.titleFormatter());
      const heads = defs.map((def) => (def.columns ? th(def, { scope: "colgroup", colspan: String(def.columns.length) }) : th(def, { rowspan: "2" })));
      const fields = leaves(defs);
      const sorted = grid.getData("active").map((held) => held.row);
      const lines = sorted.map((row) => srb.el("tr", {}, ...fields.map((def) => srb.el(def.hozAlign ? "td.number" : "td", {}, def.formatter({ getData: () => ({ row }) })))));
      document.getElementById("on-paper").replaceChildren(srb.el("table.printed", {},
        srb.el("thead", {}, srb.el("tr", {}, ...heads), srb.el("tr", {}, ...defs.flatMap((def) => def.columns ?? []).map((def) => th(def)))),
        srb.el("tbody", {}, ...lines)));
    });
    addEventListener("afterprint", () => document.getElementById("on-paper").replaceChildren());
  };

  const setup = () => { keys(); print(); };

  const paint = (row) => {
    const element = row.getElement(), { id, row: own } = row.getData();
    element.classList.toggle("picked", srb.state.sel.includes(id));
    element.classList.toggle("interpolator", own.kind === "interpolator");
    element.dataset.key = id;
  };

  /* Picking changes classes alone: the table is not built again. */
  const repaint = () => {
    for (const element of document.querySelectorAll("#grid .tabulator-row")) {
      const picked = srb.state.sel.includes(element.dataset.key);
      element.classList.toggle("picked", picked);
      const box = element.querySelector("input[type=checkbox]");
      if (box) box.checked = picked;
    }
  };

  const highlight = (key) => {
    for (const element of document.querySelectorAll("#grid .tabulator-row")) {
      element.classList.toggle("hovered", element.dataset.key === key);
    }
  };

  return { setup, refresh, repaint, highlight, choices, isOn, toggle, rows: () => shown };
})();

srb.pick = (key) => {
  const { sel } = srb.state;
  srb.set({ sel: sel.includes(key) ? sel.filter((k) => k !== key) : [...sel, key] });
};

/* Table and charts point at each other's rows. */
srb.hover = (key, from) => {
  if (from !== "table") srb.leaderboard.highlight(key);
  if (from !== "chart") srb.charts.highlight(key);
};

/* What has no number here, a line a status. */
srb.folded = () => {
  const box = document.getElementById("folded");
  box.replaceChildren();
  const { d } = srb.state;
  const found = new Map(), papers = new Map();
  for (const name of d) {
    const table = srb.table(name);
    if (!table) {
      box.append(srb.el("p", {}, `${srb.data.datasets[name]?.title ?? name} has no record at ×${srb.state.s} under ${srb.state.p}.`));
      continue;
    }
    for (const [status, reason, entrant] of table.absent) {
      const who = srb.data.entrants[entrant];
      const key = status;
      if (!found.has(key)) found.set(key, new Map());
      found.get(key).set(who.name, `${who.title}: ${reason}`);
    }
    for (const [title, figures] of table.published) {
      const metric = table.metrics.find((m) => figures[m]);
      if (!metric) continue;
      const [value, source] = figures[metric];
      const text = srb.number(value, srb.data.metrics[metric].digits);
      if (!papers.has(title)) papers.set(title, []);
      papers.get(title).push([text, `${srb.data.datasets[name].title}: ${srb.data.sources[source]}`]);
    }
  }
  if (papers.size) {
    const line = srb.el("p", {}, srb.el("b", {}, "Only published, not measured here"), ` (${d.map((n) => srb.data.datasets[n]?.title).join(" / ")}): `);
    [...papers].forEach(([title, figures], i) => {
      line.append(i ? ", " : "", `${title} `, srb.el("span.paper", { title: figures.map((f) => f[1]).join("\n") }, figures.map((f) => f[0]).join(" / ")));
    });
    box.append(line);
  }
  const words = { no_weights: "No weights in the zoo", unsupported_protocol: "Cannot be measured under this protocol" };
  for (const [status, who] of found) {
    const names = [...new Set([...who.values()].map((text) => text.split(": ")[0]))];
    box.append(srb.el("p", { title: [...who.values()].join("\n") }, srb.el("b", {}, words[status] ?? status.replaceAll("_", " ")), `: ${names.join(", ")}`));
  }
};
