// The dendrogram: which regions join at which mean distance.
G.tree = async () => {
  const P = G.pairs;
  const [rows, merges, heights] = await Promise.all(["rows", "merges", "heights"].map(G.array));
  if (!merges) return null;
  const n = rows.length, highest = Math.max(...heights.slice(-1), 1e-12);
  const across = new Float32Array(2 * n - 1), up = new Float32Array(2 * n - 1);
  rows.forEach((region, k) => { across[region] = k + 0.5; });
  for (let k = 0; k < n - 1; k++) {
    across[n + k] = (across[merges[2 * k]] + across[merges[2 * k + 1]]) / 2;
    up[n + k] = heights[k];
  }
  let frame = null;
  const px = (h) => frame.right - (h / highest) * frame.w;
  const py = (a) => 6 + (a / n) * frame.h;
  const view = G.view({
    testid: "tree", ratio: 0.95, label: "tree of the regions by average linkage; arrow keys go from region to region",
    draw: (context, width, height) => {
      const spacing = (height - 30) / n, labelled = spacing >= 8;
      const margin = labelled ? 74 : 6;
      frame = { right: width - margin, w: width - margin - 8, h: height - 30 };
      context.strokeStyle = G.colour("accent");
      context.lineWidth = n > 300 ? 0.5 : 1;
      context.beginPath();
      for (let k = 0; k < n - 1; k++) {
        const [a, b] = [merges[2 * k], merges[2 * k + 1]], x = px(heights[k]);
        context.moveTo(px(up[a]), py(across[a]));
        context.lineTo(x, py(across[a]));
        context.lineTo(x, py(across[b]));
        context.lineTo(px(up[b]), py(across[b]));
      }
      context.stroke();
      context.fillStyle = G.colour("ink");
      context.textBaseline = "middle";
      context.textAlign = "left";
      context.font = `${Math.min(11, spacing)}px system-ui, sans-serif`;
      rows.forEach((region, k) => {
        if (!labelled && region !== G.state.at) return;
        context.fillStyle = region === G.state.at ? G.colour("mark") : G.colour("ink");
        if (labelled) context.fillText(P.names[region].slice(0, 12), frame.right + 5, py(k + 0.5));
        else context.fillRect(frame.right - 12, py(k + 0.5) - 1, 18, 3);
      });
      context.font = "11px system-ui, sans-serif";
      context.fillStyle = G.colour("ink");
      context.textBaseline = "bottom";
      context.fillText(G.number(highest), 8, height - 4);
      context.textAlign = "right";
      context.fillText("0", frame.right, height - 4);
      context.textAlign = "center";
      context.fillText("mean distance at which groups join", 8 + frame.w / 2, height - 4);
    },
    at: (x, y) => {
      const k = Math.floor(((y - 6) / frame.h) * n);
      return k >= 0 && k < n ? rows[k] : null;
    },
    place: (region) => [frame.right, py(across[region])],
    step: (item, dx, dy) => (item === null ? rows[0] : rows[Math.max(0, Math.min(n - 1, Math.floor(across[item]) + (dy || dx)))]),
    tell: (region) => (G.state.at === null || G.state.at === region ? [P.names[region]] : P.tell(G.state.at, region)),
    pick: (region) => G.set({ at: region }),
  });
  return { element: view.element, redraw: view.redraw };
};
