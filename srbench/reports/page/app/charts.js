"use strict";
/* Charts in SVG by d3: quality against cost with its Pareto front, and the perception–distortion plane. */

srb.charts = (() => {
  const drawn = [];
  const M = { top: 14, right: 18, bottom: 40, left: 52 };

  /* The name, and what tells it from others of that name. */
  const text = (row) => srb.label(row, srb.leaderboard.rows());

  /* Interval of a point's value: the paired difference to the best row, or the mean over images. */
  const bar = (row, set, metric, best) => {
    const { bars } = srb.state;
    const m = row.cells[set]?.m[metric];
    if (!m || bars === "none") return null;
    if (bars === "mean") return srb.isNumber(m.low) ? [m.low, m.high] : null;
    if (!best || row === best) return null;
    const a = srb.rowScores(row, set, metric), b = srb.rowScores(best, set, metric);
    if (!a || !b || a.includes(null) || b.includes(null)) return null;
    const found = between(`${row.key}|${best.key}|${set}|${metric}|${srb.state.s}|${srb.state.p}`, a, b);
    if (!found) return null;
    const anchor = best.cells[set].m[metric].mean;
    return [anchor + found[0], anchor + found[1]];
  };

  /* A bar is drawn a pixel or two wide: 999 resamples do, and are made once. */
  const known = new Map();
  const between = (key, a, b) => {
    if (!known.has(key)) known.set(key, srb.stats.interval(srb.stats.differences(a, b), 999));
    return known.get(key);
  };

  const draw = () => {
    drawn.length = 0;
    const rows = srb.leaderboard.rows();
    const set = srb.chartSet(), y = srb.chartMetric();
    const table = srb.table(set);
    const cost = srb.COSTS[srb.chartX()];
    if (!table || !y) {
      for (const id of ["chart-cost", "chart-plane"]) document.getElementById(id).replaceChildren(srb.el("p.soft", {}, "Nothing to draw: no record here."));
      return;
    }
    const info = srb.data.metrics[y];
    scatter(document.getElementById("chart-cost"), {
      rows, set, log: true, x: cost.get, y: (r) => r.cells[set]?.m[y]?.mean ?? null, metric: y, higher: info.higher, front: true,
      xTitle: `${cost.title}${cost.unit ? ` (${cost.unit})` : ""}`, yTitle: axisTitle(y), human: cost.human,
      name: `${info.title} against ${cost.title}`,
    });
    const perceptual = table.metrics.filter((m) => ["lpips", "dists", "pi", "niqe"].includes(m));
    const pd = perceptual.includes(srb.state.pd) ? srb.state.pd : perceptual[0];
    const plane = document.getElementById("chart-plane");
    if (!pd || !table.metrics.includes("psnr")) {
      plane.replaceChildren(srb.el("p.soft", {}, "The perception–distortion plane needs PSNR and a perceptual metric, which this protocol does not have."));
      return;
    }
    scatter(plane, {
      rows, set, log: false, x: (r) => r.cells[set]?.m.psnr?.mean ?? null, y: (r) => r.cells[set]?.m[pd]?.mean ?? null, metric: pd,
      higher: srb.data.metrics[pd].higher, plane: true, xTitle: `${axisTitle("psnr")}: better →`, yTitle: `${axisTitle(pd)}: better ${srb.data.metrics[pd].higher ? "↑" : "↓"}`,
      name: `${srb.data.metrics[pd].title} against PSNR`,
    });
  };

  const axisTitle = (metric) => {
    const { title, unit } = srb.data.metrics[metric];
    return unit ? `${title} (${unit})` : title;
  };

  const scatter = (box, c) => {
    const width = Math.max(280, box.clientWidth), height = Math.round(Math.min(400, Math.max(270, width * 0.62)));
    const points = c.rows.map((row) => ({ row, x: c.x(row), y: c.y(row) })).filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y) && (!c.log || p.x > 0));
    const without = c.rows.filter((row) => row.kind !== "interpolator" && Number.isFinite(c.y(row)) && !points.some((p) => p.row === row));
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height).attr("role", "img").attr("aria-label", c.name);
    if (!points.length) {
      box.replaceChildren(srb.el("h3", {}, c.name), srb.el("p.soft", {}, `No model here has both ${c.yTitle} and ${c.xTitle}.`));
      return;
    }
    const best = points.reduce((a, b) => ((c.higher ? b.y > a.y : b.y < a.y) ? b : a)).row;
    for (const p of points) p.bar = bar(p.row, c.set, c.metric, best);
    const x = (c.log ? d3.scaleLog() : d3.scaleLinear()).domain(spread(d3.extent(points, (p) => p.x), c.log)).range([M.left, width - M.right]);
    const line = c.front ? baseline(c, points) : null;
    const ends = [...points.flatMap((p) => [p.y, ...(p.bar ?? [])]), ...(line ? [line.y] : [])];
    const y = d3.scaleLinear().domain(spread(d3.extent(ends), false)).nice(5).range([height - M.bottom, M.top]);
    axes(svg, x, y, width, height, c);
    if (c.front) { reference(svg, c, points, y, width); front(svg, c, points, x, y, width); }
    const marks = svg.append("g").attr("class", "points");
    const node = marks.selectAll("g").data(points).join("g").attr("class", (p) => `point ${kind(p.row)}`).attr("data-key", (p) => p.row.key)
      .attr("transform", (p) => `translate(${x(p.x)},${y(p.y)})`);
    node.filter((p) => p.bar).append("line").attr("class", "bar").attr("y1", (p) => y(p.bar[0]) - y(p.y)).attr("y2", (p) => y(p.bar[1]) - y(p.y));
    node.append("circle").attr("class", "halo").attr("r", 12);
    node.append("circle").attr("class", "dot").attr("r", 4.5);
    labels(svg, points, x, y, width, height);
    brush(svg, points, x, y, width, height, marks);
    const tip = srb.el("div.tip", { hidden: true });
    node.on("mouseenter", (_event, p) => { srb.hover(p.row.key, "chart"); mark(svg, p.row.key); show(tip, p, c, x, y, width); })
      .on("mouseleave", () => { srb.hover(null, "chart"); mark(svg, null); tip.hidden = true; })
      .on("click", (_event, p) => srb.pick(p.row.key));
    const rest = without.length ? srb.el("p.soft.rest", {}, `Without ${c.xTitle}: ${without.map(text).join(", ")}`) : null;
    box.replaceChildren(srb.el("h3", {}, c.name), srb.el("div.plot", {}, svg.node(), tip), ...(rest ? [rest] : []));
    drawn.push(svg);
    picks(svg);
  };

  const kind = (row) => (row.kind === "interpolator" ? "interpolator" : row.who.adversarial ? "adversarial" : "network");

  const spread = ([low, high], log) => {
    if (log) return [low / 1.6, high * 1.9];
    const margin = (high - low || Math.abs(high) || 1) * 0.07;
    return [low - margin, high + margin];
  };

  const axes = (svg, x, y, width, height, c) => {
    const few = Math.max(3, Math.floor(width / 110));
    const bottom = d3.axisBottom(x).tickSizeOuter(0);
    if (c.log) {
      const wanted = x.ticks().filter((v) => [1, 2, 5].includes(Number(v.toExponential().slice(0, 1))));
      const decades = wanted.filter((v) => Number(v.toExponential().slice(0, 1)) === 1);
      bottom.tickValues(wanted.length <= few ? wanted : decades.length >= 2 ? decades : wanted).tickFormat((v) => (c.human ? srb.human(v).replace(/\.0+(?= )/, "") : d3.format("~g")(v)));
    } else bottom.ticks(few);
    svg.append("g").attr("class", "grid").attr("transform", `translate(${M.left},0)`).call(d3.axisLeft(y).ticks(6).tickSize(-(width - M.left - M.right)).tickFormat(""));
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - M.bottom})`).call(bottom);
    svg.append("g").attr("class", "axis").attr("transform", `translate(${M.left},0)`).call(d3.axisLeft(y).ticks(6).tickSizeOuter(0));
    svg.append("text").attr("class", "title").attr("x", width - M.right).attr("y", height - 6).attr("text-anchor", "end").text(c.xTitle);
    svg.append("text").attr("class", "title").attr("transform", "rotate(-90)").attr("x", -M.top).attr("y", 12).attr("text-anchor", "end").text(c.yTitle);
  };

  /* Bicubic as a line where it has no cost of its own. */
  const baseline = (c, points) => {
    const row = c.rows.find((r) => r.key === "bicubic" && !points.some((p) => p.row === r));
    return row && Number.isFinite(c.y(row)) ? { row, y: c.y(row) } : null;
  };

  const reference = (svg, c, points, y, width) => {
    const line = baseline(c, points);
    if (!line) return;
    svg.append("line").attr("class", "baseline").attr("x1", M.left).attr("x2", width - M.right).attr("y1", y(line.y)).attr("y2", y(line.y));
    svg.append("text").attr("class", "label interpolator").attr("x", M.left + 4).attr("y", y(line.y) - 4).text(line.row.title);
  };

  const front = (svg, c, points, x, y, width) => {
    const line = srb.frontier(points.map((p) => p.row), c.x, c.y, c.higher).filter((p) => p.x > 0);
    if (!line.length) return;
    const last = line[line.length - 1];
    const path = d3.line().x((p) => (p.end ? width - M.right : x(p.x))).y((p) => y(p.y)).curve(d3.curveStepAfter);
    svg.append("path").attr("class", "front").attr("d", path([...line, { end: true, y: last.y }]));
  };

  /* Greedy placing: points of the front first, at the first of eight places that covers no point and no label; else none. */
  const labels = (svg, points, x, y, width, height) => {
    const layer = svg.append("g").attr("class", "labels");
    const taken = points.map((p) => ({ x0: x(p.x) - 6, x1: x(p.x) + 6, y0: y(p.y) - 6, y1: y(p.y) + 6 }));
    const order = [...points].sort((a, b) => (a.row.kind === "interpolator") - (b.row.kind === "interpolator") || b.y - a.y);
    const measure = document.createElement("canvas").getContext("2d");
    measure.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
    const most = width < 420 ? 14 : 40;
    for (const p of order.slice(0, most)) {
      const w = measure.measureText(text(p.row)).width + 4, h = 13, px = x(p.x), py = y(p.y);
      for (const [dx, dy, far] of spots(w, h)) {
        const b = { x0: px + dx, x1: px + dx + w, y0: py + dy, y1: py + dy + h };
        const inside = b.x0 > M.left && b.x1 < width - 2 && b.y0 > 2 && b.y1 < height - M.bottom - 1;
        if (!inside || taken.some((t) => t.x0 < b.x1 && t.x1 > b.x0 && t.y0 < b.y1 && t.y1 > b.y0)) continue;
        taken.push(b);
        if (far) {
          const end = [Math.min(b.x1, Math.max(b.x0, px)), Math.min(b.y1 - 2, Math.max(b.y0 + 2, py))];
          const length = Math.hypot(end[0] - px, end[1] - py), u = [(end[0] - px) / length, (end[1] - py) / length];
          layer.append("line").attr("class", "leader").attr("x1", px + 6 * u[0]).attr("y1", py + 6 * u[1]).attr("x2", end[0]).attr("y2", end[1]);
        }
        layer.append("text").attr("class", `label ${kind(p.row)}`).attr("data-key", p.row.key).attr("x", b.x0 + 2).attr("y", b.y1 - 3).text(text(p.row));
        break;
      }
    }
  };

  /* Places of a label of this size around its point, near ones first; far ones get a line to the point. */
  const spots = (w, h) => {
    const found = [[8, -h - 1], [8, 2], [-8 - w, -h - 1], [-8 - w, 2], [-w / 2, -h - 8], [-w / 2, 8], [9, -h / 2], [-9 - w, -h / 2]].map((s) => [...s, false]);
    for (const r of [20, 32, 46, 62, 80]) for (let i = 0; i < 16; i++) {
      const angle = (Math.PI * (2 * i + 1)) / 16, dx = r * Math.cos(angle), dy = r * Math.sin(angle);
      found.push([dx > 0 ? dx : dx - w, dy - h / 2, true]);
    }
    return found;
  };

  const brush = (svg, points, x, y, width, height, marks) => {
    const tool = d3.brush().extent([[M.left, M.top], [width - M.right, height - M.bottom]]).on("end", (event) => {
      if (!event.sourceEvent) return;
      if (!event.selection) { srb.set({ sel: [] }); return; }
      const [[x0, y0], [x1, y1]] = event.selection;
      const inside = points.filter((p) => x(p.x) >= x0 && x(p.x) <= x1 && y(p.y) >= y0 && y(p.y) <= y1).map((p) => p.row.key);
      layer.call(tool.move, null);
      srb.set({ sel: inside });
    });
    if (matchMedia("(pointer: coarse)").matches) return;  // a finger scrolls the page
    const layer = svg.insert("g", ".points").attr("class", "brush").call(tool);
    marks.raise();
  };

  const show = (tip, p, c, x, y, width) => {
    const fmt = (m, v) => srb.number(v, srb.data.metrics[m].digits);
    const cell = p.row.cells[c.set];
    const scores = cell.table.metrics.filter((m) => srb.isNumber(cell.m[m]?.mean)).slice(0, 3).map((m) => `${srb.data.metrics[m].title} ${fmt(m, cell.m[m].mean)}`);
    const costs = [p.row.parameters !== null ? `${srb.human(p.row.parameters)} parameters` : "", p.row.speed ? `${srb.three(p.row.speed.ms)} ms` : ""].filter(Boolean);
    tip.replaceChildren(srb.el("b", {}, text(p.row)), srb.el("div.marks", {}, p.row.marks.join(" · ")), srb.el("div", {}, scores.join(", ")), srb.el("div", {}, costs.join(", ")));
    tip.hidden = false;
    const left = x(p.x) > width / 2;
    tip.style.left = left ? "" : `${x(p.x) + 14}px`;
    tip.style.right = left ? `${width - x(p.x) + 14}px` : "";
    tip.style.top = `${Math.max(0, y(p.y) - 30)}px`;
  };

  const mark = (svg, key) => {
    svg.classed("hovering", key !== null);
    svg.selectAll("[data-key]").classed("hovered", function () { return this.dataset.key === key; });
  };

  const highlight = (key) => drawn.forEach((svg) => mark(svg, key));

  const picks = (svg) => {
    const { sel } = srb.state;
    svg.classed("picking", sel.length > 0);
    svg.selectAll("[data-key]").classed("picked", function () { return sel.includes(this.dataset.key); });
  };

  return { draw, highlight, repaint: () => drawn.forEach(picks) };
})();
