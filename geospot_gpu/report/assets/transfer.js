// The loss of every pair over a distance, and what is predicted of regions left out beside what was measured.
G.parts.transfer = async (host) => {
  const { names, distances, best, kind, predicted } = G.data.sections.transfer;
  const [source, target, score, loss, said, lower, upper] = await Promise.all(
    ["source", "target", "score", "loss", "predicted", "lower", "upper"].map((name) => G.array(`transfer_${name}`)));
  let region = null, shown = best;
  const pair = (k) => `${names[source[k]]} → ${names[target[k]]}`;
  const marked = (k) => region !== null && (source[k] === region || target[k] === region);
  const colour = (k) => (region === null || marked(k) ? G.colour("accent") : G.colour("unknown"));
  const status = G.el("p", { class: "status", "data-testid": "transfer-status", role: "status" });
  const left = G.el("figure"), right = G.el("figure");
  let views = [];

  const drawLoss = async () => {
    const k = distances.indexOf(shown), x = await G.array(`transfer_distance_${k}`);
    const view = G.scatter({
      testid: "loss", label: "loss of every pair over a distance; arrow keys go from pair to pair",
      x, y: loss, titles: [shown, "loss in transfer (more is worse)"], colour,
      tell: (i) => [pair(i), `${shown}: ${G.number(x[i])}`, `loss: ${G.number(loss[i])}`, `${kind}: ${G.number(score[i])}`],
      pick: (i) => choose(target[i]) });
    left.replaceChildren(G.el("h3", {}, `Loss over ${shown}`), view.element);
    views[0] = view;
  };
  const choose = (k) => {
    region = k;
    select.querySelector("select").value = k === null ? "" : String(k);
    status.textContent = k === null ? "" : `pairs with ${names[k]}: ${source.reduce((n, _, i) => n + marked(i), 0)} of ${source.length}`;
    for (const view of views) view.redraw();
  };
  const select = G.select("transfer-region", "region", [["", "all"], ...names.map((name, k) => [String(k), name])], "",
    (value) => choose(value === "" ? null : Number(value)));
  const over = G.select("transfer-distance", "distance", distances.map((name) => [name, name]), best, (name) => {
    shown = name;
    return drawLoss();
  });
  const pairs = G.button("csv-transfer", "CSV of pairs", "save the pairs with scores as CSV", async () => {
    const values = await Promise.all(distances.map((_, k) => G.array(`transfer_distance_${k}`)));
    const rows = Array.from(source, (s, k) => [names[s], names[target[k]], score[k], loss[k], said[k], lower[k], upper[k], ...values.map((v) => v[k])]);
    G.save("pairs-with-scores", ["source", "target", "score", "loss", "predicted", "lower", "upper", ...distances], rows);
  });
  host.append(G.el("div", { class: "bar controls" }, over, select, pairs), status, G.el("div", { class: "halves" }, left, right));
  await drawLoss();
  if (!predicted) return;
  let inside = 0, count = 0;
  said.forEach((value, k) => {
    if (Number.isNaN(value)) return;
    count += 1;
    inside += score[k] >= lower[k] && score[k] <= upper[k];
  });
  const view = G.scatter({
    testid: "predicted", label: "predicted and measured scores of pairs whose regions were left out",
    x: score, y: said, bars: [lower, upper], diagonal: true, colour,
    titles: [`measured ${kind}`, `predicted, with 90 % interval`],
    tell: (k) => [pair(k), `measured ${G.number(score[k])}`, `predicted ${G.number(said[k])} ${G.interval(lower[k], upper[k])}`,
      score[k] >= lower[k] && score[k] <= upper[k] ? "inside its interval" : "outside its interval"],
    pick: (k) => choose(target[k]) });
  views[1] = view;
  right.append(G.el("h3", {}, "Predicted for regions left out"), view.element,
    G.el("p", { class: "note", "data-testid": "covered" }, `${inside} of ${count} measured scores (${G.number((100 * inside) / count)} %) lie in their 90 % intervals`));
};
