"use strict";
/* Per image: every model's score on every image, and two models compared image by image. */

srb.perImage = (() => {
  const byId = (id) => document.getElementById(id);
  const M = { top: 8, right: 16, bottom: 34 };
  const MOST = 120;

  const set = () => srb.chartSet();
  const metric = () => {
    const table = srb.table(set());
    return table?.metrics.includes(srb.state.pm) ? srb.state.pm : table?.metrics[0];
  };

  const draw = () => {
    const table = srb.table(set()), m = metric();
    const plot = byId("dots"), versus = byId("versus");
    if (!table || !m) { plot.replaceChildren(srb.el("p.soft", {}, "No record here.")); versus.replaceChildren(); return; }
    srb.options(byId("per-metric"), table.metrics.map((name) => [name, srb.data.metrics[name].title]), m);
    const rows = srb.leaderboard.rows().filter((r) => srb.isNumber(r.cells[set()]?.m[m]?.mean));
    if (!rows.length) { plot.replaceChildren(srb.el("p.soft", {}, "No model shown has this score.")); versus.replaceChildren(); return; }
    rows.sort((a, b) => (srb.better(m, a.cells[set()].m[m].mean, b.cells[set()].m[m].mean) ? -1 : 1));
    dots(plot, table, rows, m);
    pair(versus, table, rows, m);
  };

  /* A line an image, a dot a model: grey for all, in colour those picked (else the best and bicubic). */
  const dots = (box, table, rows, m) => {
    const info = srb.data.metrics[m];
    const { sel } = srb.state;
    let special = rows.filter((r) => sel.includes(r.key)).slice(0, 6);
    if (!special.length) special = [rows[0], rows.find((r) => r.key === "bicubic")].filter(Boolean);
    const names = table.images.slice(0, MOST);
    const width = Math.max(280, box.clientWidth), line = names.length > 40 ? 12 : 22;
    const left = Math.min(150, 16 + 7 * Math.max(...names.map((n) => n.length)));
    const height = M.top + names.length * line + M.bottom;
    const scores = rows.map((row) => ({ row, values: srb.rowScores(row, set(), m) })).filter((s) => s.values);
    const all = scores.flatMap((s) => s.values).filter(Number.isFinite);
    const x = d3.scaleLinear().domain(d3.extent(all)).nice(6).range([left, width - M.right]);
    const y = (i) => M.top + (i + 0.5) * line;
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", `${info.title} of every image`);
    svg.append("g").attr("class", "grid").attr("transform", `translate(0,${height - M.bottom})`).call(d3.axisBottom(x).ticks(Math.max(3, width / 90)).tickSize(-(height - M.bottom - M.top)).tickFormat(""));
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - M.bottom})`).call(d3.axisBottom(x).ticks(Math.max(3, width / 90)).tickSizeOuter(0));
    svg.append("text").attr("class", "title").attr("x", width - M.right).attr("y", height - 4).attr("text-anchor", "end").text(info.unit ? `${info.title} (${info.unit})` : info.title);
    names.forEach((name, i) => {
      const seen = scores.map((s) => s.values[i]).filter(Number.isFinite);
      svg.append("text").attr("class", "row-name").attr("x", left - 8).attr("y", y(i) + 4).attr("text-anchor", "end").text(name.length > 18 ? `${name.slice(0, 17)}…` : name);
      if (seen.length) svg.append("line").attr("class", "span").attr("x1", x(d3.min(seen))).attr("x2", x(d3.max(seen))).attr("y1", y(i)).attr("y2", y(i));
    });
    for (const { row, values } of scores) {
      const place = special.indexOf(row);
      const g = svg.append("g").attr("class", place < 0 ? "other" : `special c${place}`);
      values.slice(0, MOST).forEach((v, i) => {
        if (Number.isFinite(v)) g.append("circle").attr("cx", x(v)).attr("cy", y(i)).attr("r", place < 0 ? 2.5 : 4.5).append("title").text(`${names[i]}: ${row.title} ${srb.number(v, info.digits)}`);
      });
    }
    svg.selectAll(".special").raise();
    const key = srb.el("div.key", {}, ...special.map((row, i) => srb.el(`span.c${i}`, {}, srb.label(row, rows))), srb.el("span.other", {}, "all others shown"));
    const cut = table.images.length > MOST ? srb.el("p.soft", {}, `The first ${MOST} of ${table.images.length} images.`) : null;
    box.replaceChildren(key, svg.node(), ...(cut ? [cut] : []));
  };

  const chosen = (rows) => {
    const { pa, pb, sel } = srb.state;
    const has = (key) => rows.find((r) => r.key === key);
    const picked = sel.map(has).filter(Boolean);
    const a = has(pa) ?? picked[0] ?? rows[0];
    const b = has(pb) ?? picked.find((r) => r !== a) ?? rows.find((r) => r !== a);
    return [a, b];
  };

  const pair = (box, table, rows, m) => {
    const info = srb.data.metrics[m];
    const [a, b] = chosen(rows);
    const choices = rows.map((r) => [r.key, srb.label(r, rows)]);
    srb.options(byId("pick-pa"), choices, a?.key);
    srb.options(byId("pick-pb"), choices, b?.key);
    if (!b) { box.replaceChildren(srb.el("p.soft", {}, "One model alone: nothing to compare with.")); return; }
    const one = srb.rowScores(a, set(), m), two = srb.rowScores(b, set(), m);
    const found = srb.stats.compare(one, two, info.higher);
    const others = beside(table, a, b, m, rows);
    box.replaceChildren(verdict(a, b, found, info, rows), lollipops(box, table, a, b, found, info, rows), ...(others ? [others] : []));
  };

  /* What both invent, and whether they keep to their LR: mean ± standard deviation between images. */
  const BESIDE = ["hallucination", "omission", "improvement", "lr-psnr"];
  const beside = (table, a, b, m, rows) => {
    const lines = BESIDE.filter((name) => name !== m && table.metrics.includes(name)).map((name) => {
      const info = srb.data.metrics[name];
      const one = srb.rowScores(a, set(), name), two = srb.rowScores(b, set(), name);
      if (!one?.every(srb.isNumber) || !two?.every(srb.isNumber)) return null;
      const text = (values) => {
        const sd = srb.stats.deviation(values.filter(Number.isFinite));
        return `${srb.number(srb.stats.mean(values), info.digits)}${sd === null ? "" : ` ± ${srb.number(sd, info.digits)}`}`;
      };
      const cells = [text(one), text(two), srb.p(srb.stats.compare(one, two, info.higher).p)];
      return srb.el("tr", {}, srb.el("th", { scope: "row" }, info.unit ? `${info.title} (${info.unit})` : info.title), ...cells.map((t) => srb.el("td", {}, t)));
    }).filter(Boolean);
    if (!lines.length) return null;
    const heads = ["", srb.label(a, rows), srb.label(b, rows), "p"].map((t) => srb.el("th", { scope: "col" }, t));
    return srb.el("table.scores", { "aria-label": "what both invent" }, srb.el("thead", {}, srb.el("tr", {}, ...heads)), srb.el("tbody", {}, ...lines));
  };

  const verdict = (a, b, f, info, rows) => {
    const unit = info.unit ? ` ${info.unit}` : "";
    const show = (v) => srb.number(v, info.digits + 1, true);
    const range = f.interval ? ` [${show(f.interval[0])}, ${show(f.interval[1])}]` : "";
    const better = f.difference > 0 === info.higher ? a : b;
    const torn = f.interval && f.interval[0] <= 0 && f.interval[1] >= 0 ? " by the test, but the interval holds 0" : "";
    const sure = f.p <= 0.05 ? `${srb.label(better, rows)} is better${torn}.`
      : f.least > 0.05 ? `${f.n} images cannot tell them apart: the least p they can give is ${srb.p(f.least)}.` : "The images do not tell them apart.";
    return srb.el("div.verdict", {},
      srb.el("div.big", {}, srb.el("span.value", {}, `${show(f.difference)}${unit}`), srb.el("span.soft", {}, range)),
      srb.el("dl", {},
        srb.el("div", {}, srb.el("dt", {}, "p (Wilcoxon, paired)"), srb.el("dd", {}, srb.p(f.p))),
        srb.el("div", {}, srb.el("dt", {}, `${srb.label(a, rows)} wins`), srb.el("dd", {}, `${f.wins} of ${f.n} (${Math.round((100 * f.wins) / f.n)} %)`)),
        srb.el("div", { title: "rank-biserial: the share of the ranks in favour less the share against; d: Cohen's d of pairs, the mean difference over its standard deviation" }, srb.el("dt", {}, "effect size"), srb.el("dd", {}, effect(f.each))),
        srb.el("div", { title: "how often such a set of images finds a difference of this size, simulated from the differences image by image; 80 % is what a study plans for" }, srb.el("dt", {}, "power"), srb.el("dd", {}, power(f))),
        srb.el("div", {}, srb.el("dt", {}, "verdict"), srb.el("dd", {}, sure))));
  };

  const effect = (each) => {
    const { biserial, standardised } = srb.stats.effect(each);
    return `rank-biserial ${srb.number(biserial, 2, true)}, d ${standardised === null ? "–" : srb.number(standardised, 2, true)}`;
  };

  /* Simulations of pairs that were shown, as every change of the page draws this anew. */
  const simulated = new Map();
  const power = (f) => {
    const key = f.each.join();
    if (!simulated.has(key)) simulated.set(key, srb.stats.power(f.each));
    const found = simulated.get(key);
    if (found === null) return "–";
    const needed = found.needed === null ? `it takes more than ${srb.stats.MOST}` : `about ${found.needed} ${found.needed > f.n ? "are needed" : "would do"}`;
    return `${Math.round(100 * found.share)} % with ${f.n} images; ${needed}`;
  };

  const lollipops = (box, table, a, b, f, info, rows) => {
    const order = [...f.each.keys()].filter((i) => Number.isFinite(f.each[i])).sort((i, j) => f.each[j] - f.each[i]).slice(0, MOST);
    const width = Math.max(280, box.clientWidth), line = order.length > 40 ? 12 : 22;
    const names = order.map((i) => table.images[i]);
    const left = Math.min(150, 16 + 7 * Math.max(1, ...names.map((n) => n.length)));
    const height = M.top + order.length * line + M.bottom;
    const [low, high] = d3.extent([0, ...order.map((i) => f.each[i])]);
    const x = d3.scaleLinear().domain([low, high === low ? low + 1 : high]).nice(5).range([left, width - M.right]);
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", `${a.title} minus ${b.title}, every image`);
    svg.append("g").attr("class", "grid").attr("transform", `translate(0,${height - M.bottom})`).call(d3.axisBottom(x).ticks(Math.max(3, width / 90)).tickSize(-(height - M.bottom - M.top)).tickFormat(""));
    if (f.interval) svg.append("rect").attr("class", "band").attr("x", x(Math.max(x.domain()[0], f.interval[0]))).attr("width", Math.max(1, x(Math.min(x.domain()[1], f.interval[1])) - x(Math.max(x.domain()[0], f.interval[0])))).attr("y", M.top).attr("height", height - M.bottom - M.top);
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - M.bottom})`).call(d3.axisBottom(x).ticks(Math.max(3, width / 90)).tickSizeOuter(0));
    svg.append("line").attr("class", "zero").attr("x1", x(0)).attr("x2", x(0)).attr("y1", M.top).attr("y2", height - M.bottom);
    order.forEach((i, row) => {
      const cy = M.top + (row + 0.5) * line, good = f.each[i] > 0 === info.higher;
      svg.append("text").attr("class", "row-name").attr("x", left - 8).attr("y", cy + 4).attr("text-anchor", "end").text(names[row].length > 18 ? `${names[row].slice(0, 17)}…` : names[row]);
      const g = svg.append("g").attr("class", `stick ${good ? "good" : "bad"}`);
      g.append("line").attr("x1", x(0)).attr("x2", x(f.each[i])).attr("y1", cy).attr("y2", cy);
      g.append("circle").attr("cx", x(f.each[i])).attr("cy", cy).attr("r", 4).append("title").text(`${names[row]}: ${srb.number(f.each[i], info.digits + 1, true)}`);
    });
    svg.append("text").attr("class", "title").attr("x", width - M.right).attr("y", height - 4).attr("text-anchor", "end").text(`${srb.label(a, rows)} − ${srb.label(b, rows)}${info.unit ? ` (${info.unit})` : ""}`);
    return svg.node();
  };

  const setup = () => {
    byId("per-metric").addEventListener("change", (e) => srb.set({ pm: e.target.value }));
    byId("pick-pa").addEventListener("change", (e) => srb.set({ pa: e.target.value }));
    byId("pick-pb").addEventListener("change", (e) => srb.set({ pb: e.target.value }));
    byId("swap").addEventListener("click", () => srb.set({ pa: byId("pick-pb").value, pb: byId("pick-pa").value }));
  };

  return { draw, setup };
})();
