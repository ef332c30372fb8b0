// What to collect: where the chosen regions or points lie.
G.parts.select = async (host) => {
  const data = G.data.sections.select;
  const { regions } = G.data.sections.atlas;
  const wanted = data.targets.map((name) => regions.name.indexOf(name)).filter((k) => k >= 0 && regions.lon[k] !== null);
  const targets = { lon: wanted.map((k) => regions.lon[k]), lat: wanted.map((k) => regions.lat[k]) };
  let names, lon, lat, size, tellOne;
  if (data.points) {
    const [x, y, weight, order] = await Promise.all(["lon", "lat", "weight", "order"].map((name) => G.array(`select_${name}`)));
    [lon, lat] = [Array.from(x), Array.from(y)];
    size = () => 3.5;
    tellOne = (k) => [`point ${G.number(order[k])}`, `weight ${G.number(weight[k])}`, `lon ${G.number(x[k])}, lat ${G.number(y[k])}`];
  } else {
    names = data.names;
    [lon, lat] = [data.lon, data.lat];
    const most = Math.max(...data.quota, 1);
    size = (k) => 5 + 13 * Math.sqrt(data.quota[k] / most);
    tellOne = (k) => [`${k + 1}. ${names[k]}`, `${G.number(data.quota[k])} samples`, `distance after it: ${G.number(data.distance[k])}`];
  }
  if (!lon.some((x) => x !== null)) return;
  const n = lon.length;
  const map = G.map({ testid: "select-map", label: "map of what to collect; arrow keys go from place to place",
    lon: [...lon, ...targets.lon], lat: [...lat, ...targets.lat], radius: (k) => (k < n ? size(k) : 6),
    colour: (k) => (k < n ? G.colour("accent") : G.colour("mark")), ring: (k) => k >= n,
    tell: (k) => (k < n ? tellOne(k) : [data.targets[k - n], "the target"]) });
  host.append(map.element, G.el("p", { class: "note" }, data.points ? "blue: the points chosen; ringed: the target" : "blue: the regions chosen, larger with more samples; ringed: the target"));
};
