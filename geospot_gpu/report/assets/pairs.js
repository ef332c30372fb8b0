// What is known of pairs. Regions are counted through: sources first, then targets where they differ.
{
  const atlas = G.data.sections.atlas;
  const { regions, square, columns } = atlas;
  const count = regions.name.length;
  const sources = regions.sources;
  const targets = square ? sources : count - sources;
  const loaded = new Map();
  let codes = null;
  let neighbours = null;

  const P = { count, sources, targets, square, columns, names: regions.name };
  G.pairs = P;

  P.column = (name) => columns.find((column) => column.name === name);
  P.distances = columns.filter((column) => !["evidence", "covariate", "record"].includes(column.group));

  // Loads a column with its bounds; what is loaded can be asked for at once.
  P.load = async (...names) => {
    if (atlas.kind === "listed" && codes === null) {
      const [left, right] = await Promise.all([G.array("pairs_left"), G.array("pairs_right")]);
      const found = Float64Array.from(left, (i, k) => i * targets + right[k]);
      const of = Array.from({ length: count }, () => []);
      left.forEach((i, k) => {
        const j = square ? right[k] : sources + right[k];
        of[i].push(j);
        of[j].push(i);
      });
      neighbours = of;
      codes = found;
    }
    const wanted = names.flatMap((name) => ["", "_lower", "_upper", "_back", "_back_lower", "_back_upper"].map((end) => `${name}${end}`));
    await Promise.all(wanted.map(async (name) => {
      const values = await G.array(`pairs_${name}`);
      if (values) loaded.set(name, values);
    }));
  };

  const found = (code) => {
    let low = 0, high = codes.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (codes[middle] === code) return middle;
      if (codes[middle] < code) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  };

  // Where the values of a pair stand, -1 where they are not held.
  const place = (i, j) => {
    if (atlas.kind === "listed") return found(i * targets + j);
    return square ? i * sources - (i * (i + 1)) / 2 + j - i - 1 : i * targets + j;
  };

  // A column, or its bound ("lower", "upper"), from a region to another.
  P.value = (name, from, to, bound = "") => {
    if (from === to) return NaN;
    let [i, j, back] = [from, to, false];
    if (square && i > j) [i, j, back] = [j, i, true];
    if (!square) {
      if ((i < sources) === (j < sources)) return NaN;
      if (i >= sources) [i, j] = [j, i];
      j -= sources;
    }
    const end = bound ? `_${bound}` : "";
    const values = (back && P.column(name)?.directed && loaded.get(`${name}_back${end}`)) || loaded.get(`${name}${end}`);
    const k = values ? place(i, j) : -1;
    return k < 0 ? NaN : values[k];
  };

  // The chosen column between the chosen region and another, in the chosen direction.
  P.shown = (other, bound = "") => {
    const { at, column, reverse } = G.state;
    if (at === null) return NaN;
    return reverse ? P.value(column, other, at, bound) : P.value(column, at, other, bound);
  };

  // Regions whose pairs with one are held.
  P.others = (at) => {
    if (neighbours) return neighbours[at];
    const [first, last] = square ? [0, count] : at < sources ? [sources, count] : [0, sources];
    return Array.from({ length: last - first }, (_, k) => first + k).filter((k) => k !== at);
  };

  const domains = new Map();
  P.domain = (name) => {
    const values = loaded.get(name);
    if (values && !domains.has(name)) domains.set(name, G.domain(values));
    return domains.get(name) ?? [0, 1];
  };

  P.points = (k) => regions.n_points?.[k] ?? null;

  // All that is known of a pair, in lines.
  P.tell = (from, to) => {
    const { column } = G.state;
    const about = P.column(column);
    const value = P.value(column, from, to);
    const lines = [`${P.names[from]} ${about.directed ? "→" : "–"} ${P.names[to]}`];
    if (from === to) return [P.names[from], "the region itself"];
    if (Number.isNaN(value)) return [...lines, atlas.kind === "listed" ? "not among the nearest pairs that this page holds" : "not computed"];
    lines.push(`${about.title}: ${G.number(value)}${about.unit ? ` (${about.unit})` : ""}`);
    const bounds = ["lower", "upper"].map((bound) => P.value(column, from, to, bound));
    if (about.bounds && !bounds.some(Number.isNaN)) lines.push(`certified in ${G.interval(...bounds)}`);
    const said = (name, text) => {
      const x = P.value(name, from, to);
      if (P.column(name) && !Number.isNaN(x)) lines.push(`${text}: ${G.number(x)}`);
    };
    if (column === atlas.value) said("std_error", "standard error");
    if (column === atlas.value) said("bias", "bias");
    if (P.points(from) !== null) lines.push(`n: ${G.number(P.points(from))} and ${G.number(P.points(to))} points`);
    const converged = P.value("converged", from, to);
    if (!Number.isNaN(converged)) {
      const steps = P.value("iterations", from, to), error = P.value("marginal_error", from, to);
      lines.push(`${converged ? "converged" : "NOT converged"}${Number.isNaN(steps) ? "" : ` in ${G.number(steps)} iterations`}${Number.isNaN(error) ? "" : `, marginal error ${G.number(error)}`}`);
    }
    return lines;
  };
}
