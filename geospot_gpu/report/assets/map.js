// A map of places, or of cells of a grid, on an equal-area projection.
{
  const graticule = G.graticule();
  let land = null;

  // Options: testid, label, lon, lat (of places, or of the south-western corners of cells), degrees (of
  // cells), count, colour(k) gives a colour or null, ring(k) whether it is marked, hatched(k), radius(k),
  // tell(k), pick(k), fitted (whether to begin at the places, not at the world). Places without
  // coordinates are not drawn.
  G.map = (options) => {
    const { lon, lat, degrees } = options;
    const half = degrees ? degrees / 2 : 0;
    const all = Array.from({ length: lon.length }, (_, k) => k).filter((k) => lon[k] !== null && lat[k] !== null);
    const centre = new Map(all.map((k) => [k, G.projected(Math.min(180, lon[k] + half), Math.min(90, lat[k] + half))]));
    let zoom = 1, middle = [0, 0], frame = null;
    const lookAtAll = () => { // at what there is, if that is asked for, else at the world
      [zoom, middle] = [1, [0, 0]];
      if (!options.fitted || !all.length) return;
      const [x, y] = [0, 1].map((c) => all.map((k) => centre.get(k)[c]));
      const [west, east] = [Math.min(...x), Math.max(...x)], [south, north] = [Math.min(...y), Math.max(...y)];
      zoom = Math.max(1, Math.min(20, 0.85 / Math.max((east - west) / (2 * G.EDGE[0]), (north - south) / (2 * G.EDGE[1]), 0.001)));
      if (zoom > 1) middle = [(west + east) / 2, (south + north) / 2];
    };
    lookAtAll();

    const fit = (width, height) => {
      const scale = Math.min(width / (2 * G.EDGE[0]), height / (2 * G.EDGE[1])) * 0.985 * zoom;
      frame = { scale, x: width / 2 - middle[0] * scale, y: height / 2 + middle[1] * scale };
    };
    const screen = ([x, y]) => [frame.x + x * frame.scale, frame.y - y * frame.scale];
    const trace = (context, corners) => corners.forEach((corner, k) => context[k ? "lineTo" : "moveTo"](...screen(corner)));

    const drawLand = (context) => {
      context.beginPath();
      trace(context, graticule.edge);
      context.fillStyle = G.colour("sea");
      context.fill();
      context.beginPath();
      for (const ring of land ?? []) {
        for (let k = 0; k < ring.length; k += 2) context[k ? "lineTo" : "moveTo"](...screen([ring[k], ring[k + 1]]));
        context.closePath();
      }
      context.fillStyle = G.colour("land");
      context.fill("evenodd");
      context.beginPath();
      for (const line of graticule.lines) trace(context, line);
      context.strokeStyle = G.colour("line");
      context.lineWidth = 0.5;
      context.stroke();
    };
    const coast = (context) => {
      context.beginPath();
      for (const ring of land ?? []) {
        for (let k = 0; k < ring.length; k += 2) context[k ? "lineTo" : "moveTo"](...screen([ring[k], ring[k + 1]]));
        context.closePath();
      }
      context.strokeStyle = G.colour("coast");
      context.lineWidth = 1;
      context.stroke();
    };
    const cell = (context, k) => {
      const east = Math.min(180, lon[k] + degrees), north = Math.min(90, lat[k] + degrees);
      const steps = [0, 0.25, 0.5, 0.75, 1];
      const up = steps.map((s) => lat[k] + s * (north - lat[k]));
      context.beginPath();
      trace(context, [...up.map((y) => G.projected(lon[k], y)), ...up.toReversed().map((y) => G.projected(east, y))]);
      context.closePath();
    };
    const drawCells = (context) => {
      for (const k of all) {
        const colour = options.colour(k);
        if (colour === null) continue;
        cell(context, k);
        context.fillStyle = colour;
        context.fill();
        if (options.hatched?.(k)) hatch(context, k);
      }
      coast(context);
      for (const k of all.filter((k) => options.ring?.(k))) {
        cell(context, k);
        context.strokeStyle = G.colour("ink");
        context.lineWidth = 2;
        context.stroke();
      }
    };
    const hatch = (context, k) => {
      context.save();
      context.clip();
      const [x, y] = screen(centre.get(k)), size = degrees * 0.02 * frame.scale;
      context.beginPath();
      for (let d = -size; d <= size; d += 5) {
        context.moveTo(x + d - size, y + size);
        context.lineTo(x + d + size, y - size);
      }
      context.strokeStyle = G.colour("hatch");
      context.lineWidth = 1;
      context.stroke();
      context.restore();
    };
    const drawPlaces = (context) => {
      const order = [...all].sort((a, b) => !!options.ring?.(a) - !!options.ring?.(b));
      for (const k of order) {
        const [x, y] = screen(centre.get(k));
        context.beginPath();
        context.arc(x, y, options.radius?.(k) ?? 5, 0, 2 * Math.PI);
        context.fillStyle = options.colour(k) ?? G.colour("unknown");
        context.fill();
        context.strokeStyle = G.colour("edge");
        context.lineWidth = 0.8;
        context.stroke();
        if (!options.ring?.(k)) continue;
        context.beginPath();
        context.arc(x, y, (options.radius?.(k) ?? 5) + 4, 0, 2 * Math.PI);
        context.strokeStyle = G.colour("ink");
        context.lineWidth = 2.2;
        context.stroke();
      }
    };

    const nearest = (x, y, within) => {
      let best = null, least = within;
      for (const k of all) {
        if (degrees && options.colour(k) === null) continue;
        const [a, b] = screen(centre.get(k));
        const away = Math.hypot(a - x, b - y);
        if (away < least) [best, least] = [k, away];
      }
      return best;
    };
    const zoomed = (factor, x, y) => {
      const wide = view.element.clientWidth, high = wide * 0.49;
      [x, y] = [x ?? wide / 2, y ?? high / 2];
      const before = [(x - frame.x) / frame.scale, (frame.y - y) / frame.scale];
      zoom = Math.max(1, Math.min(40, zoom * factor));
      fit(wide, high);
      const after = [(x - frame.x) / frame.scale, (frame.y - y) / frame.scale];
      middle = zoom === 1 ? [0, 0] : [middle[0] + before[0] - after[0], middle[1] + before[1] - after[1]];
      view.redraw();
    };
    const step = (from, dx, dy) => {
      if (from === null) return all[0];
      const [x, y] = screen(centre.get(from));
      let best = from, least = Infinity;
      for (const k of all) {
        const [a, b] = screen(centre.get(k));
        const along = (a - x) * dx + (b - y) * dy, across = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
        if (along > 0.5 && along + 2 * across < least) [best, least] = [k, along + 2 * across];
      }
      return best;
    };
    const view = G.view({
      testid: options.testid, label: options.label, ratio: 0.49,
      draw: (context, width, height) => {
        fit(width, height);
        drawLand(context);
        if (degrees) drawCells(context);
        else drawPlaces(context);
      },
      at: (x, y) => nearest(x, y, degrees ? degrees * 0.012 * frame.scale : 14),
      place: (k) => screen(centre.get(k)),
      tell: options.tell, pick: options.pick, step, zoomed,
      dragged: (dx, dy) => {
        if (zoom === 1) return false;
        middle = [middle[0] - dx / frame.scale, middle[1] + dy / frame.scale];
        return true;
      },
    });
    if (land === null) G.land().then((rings) => { land = rings; G.repaintAll(); });
    const bar = G.zoomBar(options.testid, zoomed, () => { lookAtAll(); view.redraw(); });
    const element = G.el("div", {}, view.element, bar);
    return { element, redraw: view.redraw, at: (k) => screen(centre.get(k)) };
  };
}
