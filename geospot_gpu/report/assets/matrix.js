// The matrix in the order of its clustering: every pair a cell, or blocks of them where they are many.
{
  const LABELS = 7;

  G.matrix = async () => {
    const P = G.pairs;
    const [rows, columns, blocks, ofRows, ofColumns] = await Promise.all(
      ["rows", "columns", "blocks", "block_rows", "block_columns"].map(G.array));
    if (!rows) return null;
    const n = blocks ? ofRows.length : rows.length, m = blocks ? ofColumns.length : columns.length;
    const global = (j) => (P.square ? columns[j] : P.sources + columns[j]);
    const image = document.createElement("canvas");
    let zoom = 1, from = [0, 0], frame = null, shownFor = "";

    const cellValue = (i, j) => (blocks ? blocks[i * m + j] : P.value(G.state.column, rows[i], global(j)));
    const fill = () => {
      const key = [G.state.column, G.state.colours].join();
      if (key === shownFor) return;
      shownFor = key;
      const scale = G.scale(...(blocks ? G.domain(blocks) : P.domain(G.state.column)));
      image.width = m;
      image.height = n;
      const context = image.getContext("2d"), pixels = context.createImageData(m, n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) {
          const value = cellValue(i, j), at = 4 * (i * m + j);
          if (Number.isNaN(value)) continue;
          const k = 3 * scale.index(value);
          pixels.data.set([scale.colours[k], scale.colours[k + 1], scale.colours[k + 2], 255], at);
        }
      }
      context.putImageData(pixels, 0, 0);
      const about = P.column(blocks ? G.data.sections.atlas.value : G.state.column);
      legend.show(scale, blocks ? `${about.title}, means over blocks` : about.title);
    };

    const longest = Math.max(...P.names.map((name) => Math.min(11, name.length)));
    const room = 8 + 6 * longest;
    const fit = (width, height) => {
      const labelled = !blocks && (width - room) * zoom / m >= LABELS;
      const left = labelled ? room : 2, top = labelled ? room : 2;
      const across = m / zoom, down = n / zoom;
      from = [Math.max(0, Math.min(m - across, from[0])), Math.max(0, Math.min(n - down, from[1]))];
      frame = { left, top, labelled, width: width - left - 2, height: height - top - 2, across, down };
    };
    const x = (j) => frame.left + ((j - from[0]) / frame.across) * frame.width;
    const y = (i) => frame.top + ((i - from[1]) / frame.down) * frame.height;

    const drawNames = (context) => {
      if (!frame.labelled) return;
      context.fillStyle = G.colour("ink");
      const size = Math.min(11, frame.height / frame.down);
      context.font = `${size}px system-ui, sans-serif`;
      context.textBaseline = "middle";
      const short = (name) => (name.length > 11 ? `${name.slice(0, 10)}…` : name);
      context.textAlign = "right";
      for (let i = Math.ceil(from[1] - 0.5); i < Math.min(n, from[1] + frame.down - 0.5); i++) {
        context.fillText(short(P.names[rows[i]]), frame.left - 4, y(i + 0.5));
      }
      context.textAlign = "left";
      for (let j = Math.ceil(from[0] - 0.5); j < Math.min(m, from[0] + frame.across - 0.5); j++) {
        context.save();
        context.translate(x(j + 0.5), frame.top - 4);
        context.rotate(-Math.PI / 2);
        context.fillText(short(P.names[global(j)]), 0, 0);
        context.restore();
      }
    };
    const blockOf = (starts, at) => {
      let found = 0;
      while (found + 1 < starts.length && starts[found + 1] <= at) found++;
      return found;
    };
    const lines = (context) => {
      const { at } = G.state;
      if (at === null) return;
      let i = rows.indexOf(at), j = columns.indexOf(P.square ? at : at - P.sources);
      if (blocks) [i, j] = [i < 0 ? -1 : blockOf(ofRows, i), j < 0 ? -1 : blockOf(ofColumns, j)];
      context.strokeStyle = G.colour("mark");
      context.lineWidth = 1.5;
      context.beginPath();
      context.rect(frame.left, frame.top, frame.width, frame.height);
      context.clip();
      if (i >= 0) context.strokeRect(frame.left, y(i), frame.width, Math.max(2, y(i + 1) - y(i)));
      if (j >= 0) context.strokeRect(x(j), frame.top, Math.max(2, x(j + 1) - x(j)), frame.height);
    };
    const zoomed = (factor, px, py) => {
      [px, py] = [px ?? frame.left + frame.width / 2, py ?? frame.top + frame.height / 2];
      const at = [from[0] + ((px - frame.left) / frame.width) * frame.across, from[1] + ((py - frame.top) / frame.height) * frame.down];
      const before = zoom;
      zoom = Math.max(1, Math.min(Math.max(n, m) / 8, zoom * factor));
      from = [at[0] - ((at[0] - from[0]) * before) / zoom, at[1] - ((at[1] - from[1]) * before) / zoom];
      view.redraw();
    };
    const tell = ([i, j]) => {
      if (!blocks) return P.tell(rows[i], global(j));
      const names = (order, starts, k, offset) => {
        const end = starts[k + 1] ?? order.length, some = Array.from(order.slice(starts[k], end), (r) => P.names[r + offset]);
        return some.length > 4 ? `${some.slice(0, 4).join(", ")} and ${some.length - 4} more` : some.join(", ");
      };
      return [`mean ${G.number(cellValue(i, j))}`, `between ${names(rows, ofRows, i, 0)}`,
        `and ${names(columns, ofColumns, j, P.square ? 0 : P.sources)}`];
    };
    const legend = G.legend("matrix-legend");
    const view = G.view({
      testid: "matrix", ratio: Math.min(1.2, Math.max(0.5, n / m)),
      label: "matrix of the regions, in the order of their clustering; arrow keys go from pair to pair",
      draw: (context, width, height) => {
        fill();
        fit(width, height);
        context.imageSmoothingEnabled = false;
        context.fillStyle = G.colour("unknown");
        context.fillRect(frame.left, frame.top, frame.width, frame.height);
        context.drawImage(image, from[0], from[1], frame.across, frame.down, frame.left, frame.top, frame.width, frame.height);
        drawNames(context);
        lines(context);
      },
      at: (px, py) => {
        const j = Math.floor(from[0] + ((px - frame.left) / frame.width) * frame.across);
        const i = Math.floor(from[1] + ((py - frame.top) / frame.height) * frame.down);
        return px >= frame.left && py >= frame.top && i >= 0 && i < n && j >= 0 && j < m ? [i, j] : null;
      },
      place: ([i, j]) => [x(j + 0.5), y(i + 0.5)],
      step: (item, dx, dy) => (item === null ? [0, 0] : [Math.max(0, Math.min(n - 1, item[0] + dy)), Math.max(0, Math.min(m - 1, item[1] + dx))]),
      tell, pick: ([i]) => G.set({ at: rows[blocks ? ofRows[i] : i] }), zoomed,
      dragged: (dx, dy) => {
        if (zoom === 1) return false;
        from = [from[0] - (dx / frame.width) * frame.across, from[1] - (dy / frame.height) * frame.down];
        return true;
      },
    });
    const bar = G.zoomBar("matrix", zoomed, () => { zoom = 1; view.redraw(); });
    return { element: G.el("div", {}, view.element, legend, bar), redraw: view.redraw };
  };
}
