// Which places drive a distance.
G.parts.explain = async (host) => {
  const { sides } = G.data.sections.explain;
  const [value, second, importance, lon, lat] = await Promise.all(
    ["value", "target", "importance", "lon", "lat"].map((name) => G.array(`explain_${name}`)));
  const [low, high] = G.domain(value), signed = low < 0, most = Math.max(-low, high);
  const TITLE = "contribution to the divergence, per mass";
  let shown = "both";
  const legend = G.legend("explain-legend");
  const scale = () => (signed ? G.scale(-most, most, "diverging") : G.scale(low, high));
  const visible = (k) => shown === "both" || (shown === "target") === (second[k] === 1);
  const all = Array.from(value, (_, k) => k);
  let map;
  const draw = () => {
    const some = all.filter(visible);
    map = G.map({ testid: "explain-map", label: "map of the places that drive the distance; arrow keys go from place to place",
      fitted: true, lon: some.map((k) => lon[k]), lat: some.map((k) => lat[k]), radius: () => 3, colour: (i) => scale().css(value[some[i]]),
      tell: (i) => [second[some[i]] ? sides.target : sides.source, `contribution per mass: ${G.number(value[some[i]])}`,
        ...(Number.isNaN(importance[some[i]]) ? [] : [`importance for training: ${G.number(importance[some[i]])}`]),
        `lon ${G.number(lon[some[i]])}, lat ${G.number(lat[some[i]])}`] });
    place.replaceChildren(map.element);
    legend.show(scale(), TITLE);
  };
  const place = G.el("div");
  host.append(G.el("div", { class: "bar controls" }, G.select("explain-side", "places of", [["both", "both"], ["source", sides.source], ["target", sides.target]], "both",
    (side) => { shown = side; draw(); })), place, legend);
  draw();
  G.onChange(() => legend.show(scale(), TITLE));
  G.onChange(() => map.redraw());
};
