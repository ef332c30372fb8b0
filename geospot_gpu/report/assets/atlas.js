// Regions and their distances: what is chosen in one picture is shown in all of them.
{
  const FEW = 40;

  const bar = (P, status) => {
    const { regions } = G.data.sections.atlas;
    const names = P.names.map((name) => name.toLocaleLowerCase());
    const search = () => {
      const text = input.value.trim().toLocaleLowerCase();
      if (!text) return G.set({ at: null });
      let at = names.indexOf(text);
      if (at < 0) {
        const starts = names.map((name, k) => (name.startsWith(text) ? k : -1)).filter((k) => k >= 0);
        const within = starts.length ? starts : names.map((name, k) => (name.includes(text) ? k : -1)).filter((k) => k >= 0);
        if (within.length !== 1) {
          status.textContent = within.length ? `${within.length} regions are called so: ${within.slice(0, 8).map((k) => P.names[k]).join(", ")}` : `no region is called ${input.value}`;
          return null;
        }
        at = within[0];
      }
      return G.set({ at });
    };
    const list = G.el("datalist", { id: "names" }, ...regions.name.map((value) => G.el("option", { value })));
    const input = G.el("input", { type: "search", list: "names", "data-testid": "search", "aria-label": "region", placeholder: "name of a region", onchange: search });
    G.onChange(() => { if (document.activeElement !== input) input.value = G.state.at === null ? "" : P.names[G.state.at]; });
    const direction = G.select("direction", "direction", [["from", "from the region"], ["to", "to the region"]], "from",
      (value) => G.set({ reverse: value === "to" }));
    const column = G.select("distance", "distance", P.distances.map((one) => [one.name, one.title]), G.state.column, async (name) => {
      await P.load(name);
      G.set({ column: name });
    });
    G.onChange(() => { direction.hidden = !P.column(G.state.column).directed; });
    direction.hidden = true;
    return G.el("div", { class: "bar controls" }, G.el("label", {}, "region ", input), list, column, direction,
      G.select("colours", "colours", G.SCALES.map((name) => [name, name]), G.state.colours, (colours) => G.set({ colours })),
      G.button("clear", "clear", "choose no region", () => G.set({ at: null })),
      G.button("csv-pairs", "CSV of pairs", "save all pairs that this page holds as CSV", () => savePairs(P)));
  };

  const savePairs = async (P) => {
    const names = P.columns.map((column) => column.name);
    await P.load(...names);
    const columns = ["source", "target"], reads = [];
    for (const column of P.columns) {
      ["", "lower", "upper"].slice(0, column.stored.length).forEach((bound, k) => {
        column.stored[k].slice(0, column.directed ? 2 : 1).forEach((name, back) => {
          columns.push(name);
          reads.push((a, b) => (back ? P.value(column.name, b, a, bound) : P.value(column.name, a, b, bound)));
        });
      });
    }
    const rows = [];
    for (let a = 0; a < P.sources; a++) {
      for (const b of P.others(a)) if (b > a) rows.push([P.names[a], P.names[b], ...reads.map((read) => read(a, b))]);
    }
    G.save("pairs", columns, rows);
  };

  // The row of the chosen region: all others, the nearest first.
  const rowPanel = (P) => {
    const heading = G.el("h3", {}, ""), body = G.el("tbody");
    const more = G.button("row-all", "all rows", "show all rows", () => { every = true; show(); });
    let every = false, last = null;
    const sorted = () => P.others(G.state.at).map((k) => [k, P.shown(k)]).filter(([, value]) => !Number.isNaN(value)).sort((a, b) => a[1] - b[1]);
    const save = () => {
      const rows = sorted().map(([k, value], rank) => [rank + 1, P.names[k], value, P.shown(k, "lower"), P.shown(k, "upper")]);
      G.save("row", ["rank", "region", G.state.column, "lower", "upper"], rows);
    };
    const show = () => {
      const { at, column, reverse } = G.state, about = P.column(column);
      if (at !== last) every = false;
      last = at;
      element.hidden = at === null;
      if (at === null) return;
      const way = about.directed ? (reverse ? "to " : "from ") : "of ";
      heading.textContent = `${about.title} ${way}${P.names[at]}`;
      const rows = sorted();
      const bounded = about.bounds;
      head.replaceChildren(...["", "region", "value", ...(bounded ? ["certified in"] : [])].map((text) => G.el("th", { scope: "col" }, text)));
      body.replaceChildren(...rows.slice(0, every ? rows.length : FEW).map(([k, value], rank) => G.el("tr", {},
        G.el("td", { class: "number" }, String(rank + 1)),
        G.el("td", {}, G.el("button", { type: "button", class: "link", onclick: () => G.set({ at: k }) }, P.names[k])),
        G.el("td", { class: "number" }, G.number(value)),
        ...(bounded ? [G.el("td", { class: "number" }, G.interval(P.shown(k, "lower"), P.shown(k, "upper")))] : []))));
      more.hidden = every || rows.length <= FEW;
      more.textContent = `all ${rows.length} rows`;
    };
    const head = G.el("tr");
    const element = G.el("div", { class: "panel", "data-testid": "row", hidden: true }, heading,
      G.el("div", { class: "scroll tall", tabindex: 0 }, G.el("table", {}, G.el("thead", {}, head), body)),
      G.el("div", { class: "bar" }, more, G.button("csv-row", "CSV", "save this row as CSV", save)));
    G.onChange(show);
    return element;
  };

  G.parts.atlas = async (host) => {
    const { atlas } = G.data.sections, P = G.pairs;
    G.state.column = atlas.value;
    const evidence = ["std_error", "bias", "converged", "iterations", "marginal_error"].filter((name) => P.column(name));
    await P.load(atlas.value, "converged");
    const status = G.el("p", { class: "status", "data-testid": "status", role: "status" });
    let scale = G.scale(...P.domain(atlas.value));
    const colourOf = (k) => {
      if (G.state.at === null) return G.colour("accent");
      if (G.state.at === k) return G.colour("ink");
      return scale.css(P.shown(k));
    };
    const said = (k) => {
      if (G.state.at === null || G.state.at === k) {
        const n = P.points(k);
        return [P.names[k], ...(n === null ? [] : [`${G.number(n)} points`]), G.state.at === k ? "chosen" : "choose it to see all others by their distance"];
      }
      return G.state.reverse ? P.tell(k, G.state.at) : P.tell(G.state.at, k);
    };
    const pick = (k) => G.set({ at: G.state.at === k ? null : k });
    const ring = (k) => k === G.state.at;
    const legend = G.legend("map-legend");
    const parts = [], left = G.el("div", { class: "wide" }), right = rowPanel(P);
    if (atlas.located) {
      const map = G.map({ testid: "map", label: "map of the regions; arrow keys go from region to region, Enter chooses one",
        lon: atlas.regions.lon, lat: atlas.regions.lat, radius: () => (P.count > 400 ? 3 : 5.5), colour: colourOf, ring, tell: said, pick });
      parts.push(map);
      left.append(map.element, legend);
    }
    const show = () => {
      const { at, column, reverse } = G.state, about = P.column(column);
      legend.hidden = at === null;
      scale = G.scale(...P.domain(column));
      legend.show(scale, `${about.title}${about.unit ? ` (${about.unit})` : ""}`);
      status.textContent = at === null ? "No region is chosen: click one, or type its name."
        : `${about.title} ${about.directed ? (reverse ? "to" : "from") : "between"} ${P.names[at]}${about.directed ? (reverse ? " from all others" : " to all others") : " and all others"}: ${about.meaning}.`.replaceAll("`", "");
      for (const part of parts) part.redraw();
    };
    G.onChange(show);
    host.append(bar(P, status), status, G.el("div", { class: "columns" }, left, right));
    show();
    await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); }); // the map is seen first
    const [matrix, tree, plane] = await Promise.all([G.matrix(), G.tree(), G.array("plane")]);
    const lower = G.el("div", { class: "halves" });
    const titled = (title, part, kind = null) => {
      parts.push(part);
      lower.append(G.el("figure", { class: kind }, G.el("h3", {}, title), part.element));
    };
    if (matrix) titled("Matrix", matrix);
    if (tree) titled("Tree", tree);
    if (plane) {
      const at = (c) => Float32Array.from({ length: P.count }, (_, k) => plane[2 * k + c]);
      titled(`Plane: distances in it rank as the regions' own with correlation ${G.number(atlas.fidelity)}`, G.scatter({
        testid: "plane", ratio: 0.5, label: "regions in a plane by their distances; arrow keys go from region to region",
        x: at(0), y: at(1), names: P.count > 400 ? null : (k) => P.names[k], colour: colourOf, ring, tell: said, pick }), "whole");
    }
    host.append(lower);
    await P.load(...evidence);
  };
}
