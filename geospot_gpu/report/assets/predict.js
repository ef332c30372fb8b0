// Scores to expect: a map, what of it is known, and how wide intervals are.
G.parts.predict = async (host) => {
  const { targets, sources, degrees, kind, threshold, gains, located } = G.data.sections.predict;
  const [value, lower, upper, width, unknown, side, lon, lat] = await Promise.all(
    ["expected", "lower", "upper", "width", "unknown", "side", "lon", "lat"].map((name) => G.array(`expected_${name}`)));
  const SIDES = ["cannot say", `likely above ${threshold}`, `likely below ${threshold}`];
  const good = kind === "error" ? 2 : 1;
  const SIDE_COLOURS = ["#8a9096", good === 1 ? "#0072b2" : "#e69f00", good === 1 ? "#e69f00" : "#0072b2"];
  let hidden = false, what = "expected", at = null;

  // Not known: unlike all that was seen; with a threshold, an interval on both sides of it; or nothing
  // at all, where predictions are no better than a constant.
  const cannotKnow = (k) => !gains || unknown[k] === 1 || Number.isNaN(value[k]) || (side !== null && side[k] === 0);
  const count = targets.reduce((n, _, k) => n + cannotKnow(k), 0);
  const scales = () => ({ expected: G.scale(...(kind === "error" ? G.domain(value).reverse() : G.domain(value))), width: G.scale(...G.domain(width)) });
  let scale = scales();
  const colour = (k) => {
    if (hidden && cannotKnow(k)) return null;
    if (what === "side") return SIDE_COLOURS[side[k]];
    return (what === "width" ? scale.width.css(width[k]) : scale.expected.css(value[k])) ?? G.colour("unknown");
  };
  const tell = (k) => [targets[k], `expected ${kind}: ${G.number(value[k])}`,
    `90 % interval ${G.interval(lower[k], upper[k])}, ${G.number(width[k])} wide`,
    ...(sources ? [`of a model from ${sources[k]}`] : []),
    ...(side ? [SIDES[side[k]]] : []), ...(unknown[k] ? ["unlike all that was seen"] : [])];
  const status = G.el("p", { class: "status", "data-testid": "predict-status", role: "status" });
  const legend = G.legend("predict-legend");
  const key = G.el("div", { "data-testid": "predict-key" });
  const parts = [];
  const show = () => {
    scale = scales();
    legend.hidden = what === "side";
    key.hidden = what !== "side";
    if (what !== "side") legend.show(what === "width" ? scale.width : scale.expected, what === "width" ? "width of the 90 % interval" : `expected ${kind}`);
    key.replaceChildren(...SIDES.map((text, k) => G.el("span", { class: "key" }, swatch(SIDE_COLOURS[k]), text)));
    status.textContent = `${count} of ${targets.length} targets are not known${hidden ? ", and hidden" : ""}: ${reason}`;
    for (const part of parts) part.redraw();
  };
  const swatch = (css) => {
    const element = G.el("i");
    element.style.background = css;
    return element;
  };
  const reason = !gains ? "predictions are no better than a constant"
    : side ? "unlike all that was seen, or with an interval on both sides of the threshold" : "unlike all that was seen";
  const box = G.el("input", { type: "checkbox", "data-testid": "hide-unknown", onchange: () => { hidden = box.checked; show(); } });
  const choices = [["expected", `expected ${kind}`], ["width", "width of the interval"], ...(side ? [["side", `side of ${threshold}`]] : [])];
  host.append(G.el("div", { class: "bar controls" }, G.el("label", {}, box, " hide what the tool cannot know"),
    G.select("predict-colour", "colour by", choices, what, (chosen) => { what = chosen; show(); })), status);
  if (located) {
    const map = G.map({ testid: "predict-map", label: "map of expected scores; arrow keys go from target to target",
      lon: Array.from(lon, (x) => (Number.isNaN(x) ? null : x)), lat: Array.from(lat, (x) => (Number.isNaN(x) ? null : x)), degrees, radius: () => (targets.length > 400 ? 2.5 : 5), colour, tell,
      ring: (k) => k === at, hatched: (k) => unknown[k] === 1, pick: (k) => { at = at === k ? null : k; show(); } });
    parts.push(map);
    host.append(map.element, legend, key);
    if (degrees) host.append(G.el("p", { class: "note" }, "hatched: unlike all that was seen"));
  }
  G.onChange(() => show());
  show();
};
