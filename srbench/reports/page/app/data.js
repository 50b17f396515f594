"use strict";
/* What the page was built from: one JSON object, packed scores unpacked on demand, and the rows that a view shows. */

srb.data = null;

srb.load = async () => {
  const node = document.getElementById("data");
  const text = node.textContent.trim();
  if (node.dataset.packed) {
    const bytes = await srb.gunzip(text);
    const size = new DataView(bytes.buffer).getUint32(0, true);
    srb.data = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
    srb.packed = bytes.subarray(4 + size);
  } else {
    srb.data = JSON.parse(text);
  }
  srb.tables = new Map(srb.data.tables.map((t) => [`${t.dataset}|${t.scale}|${t.protocol}`, t]));
  return srb.data;
};

srb.value = (stored) => (stored === "inf" ? Infinity : stored);

srb.bytes = (base64) => {
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
};

srb.gunzip = async (base64) => {
  const stream = new Blob([srb.bytes(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

srb.table = (dataset) => srb.tables.get(`${dataset}|${srb.state.s}|${srb.state.p}`);

/* Scores of one row of a table on its images, or null. */
srb.scores = (table, index, metric) => {
  const found = table.scores[metric];
  if (!found || !Array.isArray(table.rows[index].m[metric])) return null;
  const { unit, base, rows, at } = found;
  const read = (v, i) => (v === null ? null : v === "inf" ? Infinity : (v + base[i]) / unit);
  if (rows) return rows[index].map(read);
  const wide = (v) => (v === -32768 ? null : v === 32767 ? "inf" : v);
  /* Packed: all high bytes of all 16-bit values, then all low bytes. */
  const half = srb.packed.length / 2, n = base.length, start = at + index * n;
  return Array.from({ length: n }, (_, i) => read(wide(((srb.packed[start + i] << 8) | srb.packed[half + start + i]) << 16 >> 16), i));
};

/* The device that times are shown of. */
srb.device = () => (srb.data.devices.some((d) => d.id === srb.state.dev) ? srb.state.dev : srb.data.devices[0]?.id ?? "");

srb.speed = (entrant, scale) => srb.data.speed[srb.device()]?.[`${entrant}@${scale}`] ?? null;

/* One row a family of trainings that differ in the seed alone; with `all` off, one a architecture: the best by the first metric. */
srb.rows = () => {
  const { d, s, all } = srb.state;
  const families = new Map();
  for (const dataset of d) {
    const table = srb.table(dataset);
    if (!table) continue;
    table.rows.forEach((row, index) => {
      const who = srb.data.entrants[row.e];
      let family = families.get(who.family);
      if (!family) families.set(who.family, (family = { key: who.name, family: who.family, members: new Map(), cells: {} }));
      family.members.set(row.e, who);
      (family.cells[dataset] ??= { table, rows: [] }).rows.push({ row, index });
    });
  }
  const rows = [...families.values()].map((family) => srb.row(family, s));
  if (all) return rows;
  const order = [...d].sort((a, b) => srb.size(b) - srb.size(a));
  const metric = srb.table(order[0])?.metrics[0];
  const score = (row) => {
    for (const name of order) if (srb.isNumber(row.cells[name]?.m[metric]?.mean)) return row.cells[name].m[metric].mean;
    return null;
  };
  const best = new Map();
  for (const row of rows) {
    const old = best.get(row.model), value = score(row);
    if (!old || srb.better(metric, value, score(old))) best.set(row.model, row);
  }
  return rows.filter((row) => best.get(row.model) === row);
};

srb.better = (metric, a, b) => {
  if (!srb.isNumber(a)) return false;
  if (!srb.isNumber(b)) return true;
  return srb.data.metrics[metric].higher ? a > b : a < b;
};

srb.row = (family, scale) => {
  /* Of several seeds, the first of those with a number stands for card, time and images. */
  const members = [...family.members].sort((a, b) => (a[1].seed ?? 0) - (b[1].seed ?? 0));
  const [entrant, who] = members[0];
  const minutes = members.map(([, m]) => m.minutes).filter(srb.isNumber);
  const row = {
    key: who.name, entrant, who, members: members.map(([e]) => e), title: who.title, model: who.model,
    kind: who.kind, parameters: who.parameters, minutes: minutes.length ? srb.stats.mean(minutes) : null,
    speed: members.map(([e]) => srb.speed(e, scale)).find(Boolean) ?? null, cells: {},
  };
  row.marks = srb.marks(row, members.length);
  for (const [dataset, { table, rows }] of Object.entries(family.cells)) {
    const main = rows.find((r) => r.row.e === entrant) ?? rows[0];
    const cell = { table, index: main.index, rank: main.row.r, m: {}, notes: [...new Set(rows.flatMap((r) => r.row.n ?? []))] };
    for (const metric of table.metrics) {
      const seen = rows.map((r) => r.row.m[metric]).filter((m) => Array.isArray(m));
      if (!seen.length) {
        cell.m[metric] = { status: main.row.m[metric] ?? "not measured" };
        continue;
      }
      const means = seen.map((m) => srb.value(m[0]));
      const own = seen[0];
      const mean = srb.stats.mean(means);
      const shift = mean - srb.value(own[0]);
      const other = own[5] ?? "";  // the protocol of the published figure where it is not this one
      cell.m[metric] = {
        mean, n: means.length, sd: means.length > 1 ? srb.stats.deviation(means) : null,
        low: srb.isNumber(own[1]) ? own[1] + shift : null, high: srb.isNumber(own[2]) ? own[2] + shift : null,
        published: own[3] ?? null, source: own[4] ?? null, other, delta: srb.isNumber(own[3]) && !other ? mean - own[3] : null,
      };
    }
    row.cells[dataset] = cell;
  }
  return row;
};

/* Small type beside the name: recipe where it is not the usual one, what was added, how many seeds. */
srb.marks = (row, seeds) => {
  const marks = [...row.who.marks];
  if (row.who.kind === "interpolator") marks.unshift("interpolator");
  else if (row.who.recipe) marks.unshift(row.who.recipe);
  if (row.who.own) marks.push("yours");
  if (seeds > 1) marks.push(`${seeds} seeds`);
  return marks;
};

/* A row's name among others: with its recipe, or else its checkpoint, where another row has the same. */
srb.label = (row, rows) => {
  const alike = rows.filter((other) => other.title === row.title);
  if (alike.length < 2) return row.title;
  const recipe = row.who.recipe || row.who.name;
  return alike.filter((other) => (other.who.recipe || other.who.name) === recipe).length < 2 ? `${row.title} ${recipe}` : row.who.name;
};

/* Means over the seeds' scores of each image; what charts and per-image views show of a row. */
srb.rowScores = (row, dataset, metric) => {
  const cell = row.cells[dataset];
  return cell ? srb.scores(cell.table, cell.index, metric) : null;
};

srb.passes = (row) => {
  const { q, fp, fms, fmb, fdb, d } = srb.state;
  if (q) {
    const text = [row.title, row.who.name, ...row.marks, ...(row.who.data ?? [])].join(" ").toLowerCase();
    if (!q.toLowerCase().split(/\s+/).every((word) => text.includes(word))) return false;
  }
  if (srb.isNumber(fp) && !(row.parameters <= fp && row.parameters !== null)) return false;
  if (srb.isNumber(fms) && !(row.speed && row.speed.ms <= fms)) return false;
  if (srb.isNumber(fmb) && !(row.speed && srb.isNumber(row.speed.mb) && row.speed.mb <= fmb)) return false;
  if (srb.isNumber(fdb) && !d.some((name) => row.cells[name]?.m.psnr?.mean >= fdb)) return false;
  return true;
};

/* Quantities a chart can have on its x axis. */
srb.COSTS = {
  ms: { title: "latency", unit: "ms", get: (row) => row.speed?.ms ?? null },
  madds: { title: "mult-adds at 1280×720", unit: "", get: (row) => row.speed?.madds ?? null, human: true },
  params: { title: "parameters", unit: "", get: (row) => row.parameters, human: true },
  mb: { title: "memory", unit: "MB", get: (row) => row.speed?.mb ?? null },
  min: { title: "training time", unit: "min", get: (row) => row.minutes },
};

/* The cost that charts go across: the chosen one, or parameters where nothing at this scale has it. */
srb.chartX = () => {
  const { x } = srb.state;
  return srb.COSTS[x] && srb.rows().some((row) => srb.COSTS[x].get(row) > 0) ? x : "params";
};

/* Rows that no other row beats in both. A cost of nought (an interpolator's parameters) counts. */
srb.frontier = (rows, cost, value, higher) => {
  const points = rows
    .map((row) => ({ row, x: cost(row), y: value(row) }))
    .filter((p) => srb.isNumber(p.x) && srb.isNumber(p.y))
    .sort((a, b) => a.x - b.x || (higher ? b.y - a.y : a.y - b.y));
  const front = [];
  for (const point of points) {
    const last = front[front.length - 1];
    if (!last || (higher ? point.y > last.y : point.y < last.y)) front.push(point);
  }
  return front;
};

/* How many images a dataset has here; the largest one orders rows and is what charts show at first. */
srb.size = (name) => srb.table(name)?.images.length ?? 0;
srb.leading = () => [...srb.state.d].sort((a, b) => srb.size(b) - srb.size(a))[0];

/* Rows after all filters, in no order. */
srb.visible = () => {
  let rows = srb.rows().filter(srb.passes);
  if (srb.state.par) {
    const on = srb.chartSet(), y = srb.chartMetric();
    const front = srb.frontier(rows, srb.COSTS[srb.chartX()].get, (r) => r.cells[on]?.m[y]?.mean, srb.data.metrics[y]?.higher);
    const kept = new Set(front.map((p) => p.row.key));
    rows = rows.filter((row) => kept.has(row.key));
  }
  return rows;
};

/* The dataset that charts show: the chosen one, else the largest of those selected. */
srb.chartSet = () => {
  const { d, on } = srb.state;
  if (d.includes(on)) return on;
  return srb.leading();
};

srb.chartMetric = () => {
  const table = srb.table(srb.chartSet());
  return table?.metrics.includes(srb.state.y) ? srb.state.y : table?.metrics[0];
};
