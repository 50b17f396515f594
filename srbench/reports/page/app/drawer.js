"use strict";
/* All that is known of one row: protocol in words, card, provenance, what to beware of, and the commands that make it again. */

srb.drawer = (() => {
  const dialog = () => document.getElementById("drawer");

  const draw = () => {
    const row = srb.everyRow().find((r) => r.key === srb.state.open);
    const box = dialog();
    if (!row) { if (box.open) box.close(); return; }
    const who = row.who, card = srb.data.cards[who.name.split("+")[0]] ?? srb.data.cards[who.name];
    const body = srb.el("div.body", {},
      srb.el("h2", {}, row.title), srb.el("p.marks", {}, row.marks.join(" · ")),
      who.paper ? paperLine(who) : null,
      scores(row),
      part("Beware", beware(row)),
      part("Make it again", srb.data.commands && commands(row)),
      part(`Protocol ${srb.state.p}`, [srb.el("p", {}, srb.data.protocols[srb.state.p]?.words ?? "")]),
      part("Card", card ? [table(card.facts), curve(card), card.notes ? srb.el("p.soft", {}, card.notes) : null] : who.kind === "network" ? [srb.el("p.soft", {}, "The zoo has no card of it.")] : null),
      part("Provenance", provenance(row)),
    );
    box.replaceChildren(srb.el("button.close", { type: "button", "aria-label": "close", onclick: () => srb.set({ open: "" }) }, "×"), body);
    if (!box.open) box.showModal();
    box.scrollTop = 0;
  };

  const paperLine = (who) => {
    const text = `${who.paperTitle || who.title}${who.year ? ` (${who.year})` : ""}`;
    const safe = /^https:\/\//.test(who.paper);  // the only links out; nothing is loaded until one follows them
    return srb.el("p.soft", {}, text, ", ", safe ? srb.el("a", { href: who.paper, rel: "noreferrer noopener", target: "_blank" }, who.paper) : who.paper);
  };

  const part = (title, nodes) => {
    const kept = (nodes ?? []).filter(Boolean);
    return kept.length ? srb.el("section", {}, srb.el("h3", {}, title), ...kept) : null;
  };

  const table = (pairs) => srb.el("dl.facts", {}, ...pairs.map(([k, v]) => srb.el("div", {}, srb.el("dt", {}, k), srb.el("dd", {}, String(v)))));

  const scores = (row) => {
    const sets = Object.keys(row.cells);
    const metrics = Object.keys(srb.data.metrics).filter((m) => sets.some((s) => row.cells[s].m[m]));
    const show = (m, v, extra = 0) => srb.number(v, srb.data.metrics[m].digits + extra);
    const line = (m) => srb.el("tr", {}, srb.el("th", { scope: "row" }, srb.data.metrics[m].title), ...sets.map((s) => {
      const c = row.cells[s].m[m];
      if (!c || !srb.isNumber(c.mean)) return srb.el("td", { title: c?.status ?? "" }, NONE);
      return srb.el("td", {}, srb.el("b", {}, show(m, c.mean)), c.sd !== null ? ` ±${show(m, c.sd)}` : "",
        srb.isNumber(c.low) ? srb.el("small", {}, `[${show(m, c.low)}, ${show(m, c.high)}]`) : null,
        srb.isNumber(c.published) ? srb.el("small", { title: srb.data.sources[c.source] }, `paper ${show(m, c.published)} (${c.other || srb.number(c.delta, srb.data.metrics[m].digits, true)})`) : null);
    }));
    return srb.el("table.scores", {}, srb.el("thead", {}, srb.el("tr", {}, srb.el("th", {}), ...sets.map((s) => srb.el("th", { scope: "col" }, `${srb.data.datasets[s].title} ×${srb.state.s}`)))), srb.el("tbody", {}, ...metrics.map(line)));
  };

  const beware = (row) => {
    const found = Object.entries(row.cells).flatMap(([set, cell]) => cell.notes.map((text) => `${srb.data.datasets[set].title}: ${text}.`.replace("..", ".")));
    if (row.speed?.doubts?.length) found.push(`Times: ${row.speed.doubts.join(", ")}.`);
    for (const [set, cell] of Object.entries(row.cells)) {
      if (!cell.table.separable) found.push(`${srb.data.datasets[set].title} has ${cell.table.images.length} images: too few to tell any two models apart (least p ${srb.p(cell.table.least)}).`);
      for (const [m, c] of Object.entries(cell.m)) if (c.status) found.push(`${srb.data.datasets[set].title}, ${srb.data.metrics[m].title}: ${c.status}.`);
    }
    if (row.members.length > 1) found.push(`Means over ${row.members.length} trainings that differ in the seed alone; card and times are of ${row.who.name}.`);
    if (row.who.marks.some((m) => m.includes("skip"))) found.push("The skip makes it another network than the paper's.");
    return found.length ? [srb.el("ul", {}, ...found.map((t) => srb.el("li", {}, t)))] : null;
  };

  const commands = (row) => {
    const sets = Object.keys(row.cells), train = srb.data.cards[row.who.name.split("+")[0]]?.train ?? "";
    const fill = (line) => line.replaceAll("{name}", quoted(row.who.name.split("+")[0])).replaceAll("{sets}", sets.join(",")).replaceAll("{scale}", srb.state.s)
      .replaceAll("{protocol}", srb.data.protocols[srb.state.p]?.name ?? srb.state.p).replaceAll("{train}", train);
    const kinds = row.kind === "interpolator" || row.who.own ? ["reproduce", "measure"] : ["reproduce", "measure", "time", ...(train ? ["train"] : [])];
    return kinds.filter((k) => srb.data.commands[k]).map((k) => command(srb.data.commands[k].title, fill(srb.data.commands[k].line)));
  };

  /* A name as one word of a shell. */
  const quoted = (text) => (/^[\w.,:/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

  const command = (title, line) => {
    const button = srb.el("button.copy", { type: "button", onclick: async () => {
      button.textContent = (await copy(line)) ? "copied" : "press Ctrl+C";
      setTimeout(() => { button.textContent = "copy"; }, 1600);
    } }, "copy");
    return srb.el("div.command", {}, srb.el("span.soft", {}, title), srb.el("code", {}, line), button);
  };

  const copy = async (line) => {
    try { await navigator.clipboard.writeText(line); return true; } catch { /* from disk some browsers refuse: select it instead */ }
    const area = srb.el("textarea", {}, line);
    dialog().append(area);
    area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch { done = false; }
    area.remove();
    return done;
  };

  /* Validation PSNR over minutes of training. */
  const curve = (card) => {
    const points = card.curve ?? [];
    if (points.length < 3) return null;
    const width = 420, height = 130;
    const x = d3.scaleLinear().domain([0, d3.max(points, (p) => p[0])]).range([44, width - 8]);
    const y = d3.scaleLinear().domain(d3.extent(points, (p) => p[1])).nice(4).range([height - 30, 8]);
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("class", "curve").attr("role", "img").attr("aria-label", "validation PSNR over training");
    svg.append("g").attr("class", "grid").attr("transform", "translate(44,0)").call(d3.axisLeft(y).ticks(4).tickSize(-(width - 52)).tickFormat(""));
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${height - 30})`).call(d3.axisBottom(x).ticks(6).tickSizeOuter(0));
    svg.append("g").attr("class", "axis").attr("transform", "translate(44,0)").call(d3.axisLeft(y).ticks(4).tickSizeOuter(0));
    svg.append("path").attr("class", "front").attr("d", d3.line().x((p) => x(p[0])).y((p) => y(p[1]))(points));
    svg.append("text").attr("class", "title").attr("x", width - 8).attr("y", height - 3).attr("text-anchor", "end").text("minutes; PSNR (dB) on images held back from training");
    return svg.node();
  };

  const provenance = (row) => Object.entries(row.cells).map(([set, cell]) => {
    const p = cell.table.rows[cell.index].p;
    if (!p) return null;
    return srb.el("div", {}, srb.el("h4", {}, srb.data.datasets[set].title), table([["record", p[0]], ...(p[1] ? [["measured", p[1]]] : []), ...(srb.data.origins[p[2]] ?? []), ...(row.who.sha ? [["weights sha256", row.who.sha]] : [])]));
  });

  const setup = () => {
    const box = dialog();
    box.addEventListener("close", () => { if (srb.state.open) srb.set({ open: "" }); });
    box.addEventListener("click", (event) => { if (event.target === box) srb.set({ open: "" }); });
  };

  return { draw, setup };
})();
