// Points in a plane, with axes or without.
{
  const ticks = (low, high) => {
    const step = 10 ** Math.floor(Math.log10((high - low) / 3));
    const nice = [1, 2, 5, 10].map((k) => k * step).find((s) => (high - low) / s <= 5);
    const found = [];
    for (let t = Math.ceil(low / nice) * nice; t <= high + 1e-9 * nice; t += nice) found.push(Number(t.toPrecision(12)));
    return found;
  };
  const spread = (values) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    if (low > high) [low, high] = [0, 1];
    const pad = (high - low || 1) * 0.05;
    return [low - pad, high + pad];
  };

  // Options: testid, label, x, y (arrays), titles [x, y] (none: no axes, both on one scale), bars
  // [lower, upper] of y, diagonal, colour(k), ring(k), names(k) text beside a point, tell(k), pick(k), ratio.
  G.scatter = (options) => {
    const { x, y, titles, bars } = options;
    const all = Array.from({ length: x.length }, (_, k) => k).filter((k) => Number.isFinite(x[k]) && Number.isFinite(y[k]));
    const ratio = options.ratio ?? 0.75;
    let frame = null;
    const fit = (width, height) => {
      const [left, bottom, pad] = titles ? [52, 38, 8] : [8, 8, 8];
      let [a, b] = [spread(all.map((k) => x[k])), spread(all.map((k) => y[k]))];
      if (options.diagonal) a = b = spread([...all.map((k) => x[k]), ...all.map((k) => y[k])]);
      let [w, h] = [width - left - pad, height - bottom - pad];
      if (!titles) {
        const unit = Math.min(w / (a[1] - a[0]), h / (b[1] - b[0]));
        a = [(a[0] + a[1]) / 2 - w / unit / 2, (a[0] + a[1]) / 2 + w / unit / 2];
        b = [(b[0] + b[1]) / 2 - h / unit / 2, (b[0] + b[1]) / 2 + h / unit / 2];
      }
      frame = { left, top: pad, w, h, a, b };
    };
    const px = (v) => frame.left + ((v - frame.a[0]) / (frame.a[1] - frame.a[0])) * frame.w;
    const py = (v) => frame.top + frame.h - ((v - frame.b[0]) / (frame.b[1] - frame.b[0])) * frame.h;

    const axes = (context) => {
      context.strokeStyle = G.colour("line");
      context.fillStyle = G.colour("ink");
      context.lineWidth = 1;
      context.textAlign = "center";
      context.textBaseline = "top";
      for (const t of ticks(...frame.a)) {
        context.beginPath();
        context.moveTo(px(t), frame.top);
        context.lineTo(px(t), frame.top + frame.h);
        context.stroke();
        context.fillText(G.number(t), px(t), frame.top + frame.h + 5);
      }
      context.fillText(titles[0], frame.left + frame.w / 2, frame.top + frame.h + 21);
      context.textAlign = "right";
      context.textBaseline = "middle";
      for (const t of ticks(...frame.b)) {
        context.beginPath();
        context.moveTo(frame.left, py(t));
        context.lineTo(frame.left + frame.w, py(t));
        context.stroke();
        context.fillText(G.number(t), frame.left - 5, py(t));
      }
      context.save();
      context.translate(11, frame.top + frame.h / 2);
      context.rotate(-Math.PI / 2);
      context.textAlign = "center";
      context.fillText(titles[1], 0, 0);
      context.restore();
      if (options.diagonal) {
        context.strokeStyle = G.colour("ink");
        context.beginPath();
        context.moveTo(px(frame.a[0]), py(frame.a[0]));
        context.lineTo(px(frame.a[1]), py(frame.a[1]));
        context.stroke();
      }
    };
    const names = (context) => {
      const taken = [];
      context.fillStyle = G.colour("ink");
      context.textAlign = "left";
      context.textBaseline = "middle";
      for (const k of all) {
        const text = options.names(k), at = [px(x[k]) + 7, py(y[k])];
        const box = [at[0], at[1] - 6, at[0] + context.measureText(text).width, at[1] + 6];
        if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
        taken.push(box);
        context.fillText(text, ...at);
      }
    };
    const nearest = (a, b, within) => {
      let best = null, least = within;
      for (const k of all) {
        const away = Math.hypot(px(x[k]) - a, py(y[k]) - b);
        if (away < least) [best, least] = [k, away];
      }
      return best;
    };
    const step = (item, dx, dy) => {
      if (item === null) return all[0] ?? null;
      const [a, b] = [px(x[item]), py(y[item])];
      let best = item, least = Infinity;
      for (const k of all) {
        const [c, d] = [px(x[k]) - a, py(y[k]) - b];
        const along = c * dx + d * dy, across = Math.abs(c * dy) + Math.abs(d * dx);
        if (along > 0.2 && along + 2 * across < least) [best, least] = [k, along + 2 * across];
      }
      return best;
    };
    const view = G.view({
      testid: options.testid, label: options.label, ratio,
      draw: (context, width, height) => {
        fit(width, height);
        if (titles) axes(context);
        const radius = all.length > 300 ? 3 : 5;
        if (bars) {
          context.strokeStyle = G.colour("bar");
          context.lineWidth = 1;
          context.globalAlpha = all.length > 300 ? 0.35 : 1;
          context.beginPath();
          for (const k of all) {
            if (!Number.isFinite(bars[0][k])) continue;
            context.moveTo(px(x[k]), Math.min(frame.top + frame.h, py(bars[0][k])));
            context.lineTo(px(x[k]), Math.max(frame.top, py(bars[1][k])));
          }
          context.stroke();
          context.globalAlpha = 1;
        }
        for (const k of [...all].sort((p, q) => !!options.ring?.(p) - !!options.ring?.(q))) {
          context.beginPath();
          context.arc(px(x[k]), py(y[k]), radius, 0, 2 * Math.PI);
          context.fillStyle = options.colour?.(k) ?? G.colour("accent");
          context.globalAlpha = all.length > 300 && titles ? 0.65 : 1;
          context.fill();
          context.globalAlpha = 1;
          if (!options.ring?.(k)) continue;
          context.beginPath();
          context.arc(px(x[k]), py(y[k]), radius + 3.5, 0, 2 * Math.PI);
          context.strokeStyle = G.colour("ink");
          context.lineWidth = 2;
          context.stroke();
        }
        if (options.names) names(context);
      },
      at: (a, b) => nearest(a, b, 14),
      place: (k) => [px(x[k]), py(y[k])],
      tell: options.tell, pick: options.pick, step,
    });
    return { element: view.element, redraw: view.redraw };
  };
}
