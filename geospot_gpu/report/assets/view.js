// A canvas that can be looked at with mouse, finger and keyboard: what is drawn is said in words, too.
{
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const views = [];

  // Options: testid, label, ratio (height by width), draw(context, width, height), at(x, y) gives what
  // lies there or null, place(item) its [x, y], tell(item) lines of text, pick(item), step(item, dx, dy)
  // the next item of the keyboard; zoomed(factor, x, y) and dragged(dx, dy), where there is more to see.
  G.view = (options) => {
    const canvas = G.el("canvas", { tabindex: 0, role: "img", "aria-label": options.label, "data-testid": options.testid });
    const element = G.el("div", { class: "view" }, canvas);
    let cursor = null, size = [0, 0], asked = false, drag = null;

    const redraw = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; paint(); });
    };
    const paint = () => {
      const width = element.clientWidth;
      if (!width) return;
      const height = Math.round(width * options.ratio);
      const dense = Math.min(window.devicePixelRatio || 1, 2);
      if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
        canvas.width = Math.round(width * dense);
        canvas.height = Math.round(height * dense);
        canvas.style.height = `${height}px`;
      }
      size = [width, height];
      const context = canvas.getContext("2d");
      context.setTransform(dense, 0, 0, dense, 0, 0);
      context.clearRect(0, 0, width, height);
      context.font = "11px system-ui, sans-serif";
      options.draw(context, width, height);
      if (cursor !== null && document.activeElement === canvas && options.place) {
        const at = options.place(cursor);
        if (at) {
          context.strokeStyle = G.colour("ink");
          context.lineWidth = 2;
          context.strokeRect(at[0] - 7, at[1] - 7, 14, 14);
        }
      }
    };

    const local = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const tell = (item, x, y, byKeys) => {
      if (item === null) G.hideTip();
      else G.showTip(options.tell(item), x, y, byKeys);
    };
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = local(event);
      if (drag) {
        drag.moved ||= Math.hypot(x - drag.x, y - drag.y) > 4;
        if (drag.moved && options.dragged?.(x - drag.at[0], y - drag.at[1])) redraw();
        drag.at = [x, y];
        if (drag.moved) return;
      }
      tell(options.at(x, y), event.clientX, event.clientY);
    });
    canvas.addEventListener("pointerleave", () => { drag = null; G.hideTip(); });
    canvas.addEventListener("pointerdown", (event) => {
      const [x, y] = local(event);
      drag = { x, y, at: [x, y], moved: false };
    });
    canvas.addEventListener("pointerup", (event) => {
      const moved = drag?.moved && options.dragged;
      drag = null;
      if (moved) return;
      const item = options.at(...local(event));
      tell(item, event.clientX, event.clientY);
      if (item !== null) { cursor = item; options.pick?.(item); redraw(); }
    });
    canvas.addEventListener("wheel", (event) => {
      if (!options.zoomed || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      options.zoomed(event.deltaY < 0 ? 1.25 : 0.8, ...local(event));
      redraw();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      if (event.key in STEPS && options.step) {
        cursor = options.step(cursor, ...STEPS[event.key]);
        const box = canvas.getBoundingClientRect(), at = options.place(cursor) || [0, 0];
        tell(cursor, box.left + at[0], box.top + at[1], true);
      } else if ((event.key === "Enter" || event.key === " ") && cursor !== null) options.pick?.(cursor);
      else if (event.key === "Escape") { G.hideTip(); G.set({ at: null }); }
      else if (options.zoomed && "+-".includes(event.key)) options.zoomed(event.key === "+" ? 1.5 : 1 / 1.5, size[0] / 2, size[1] / 2);
      else return;
      event.preventDefault();
      redraw();
    });
    canvas.addEventListener("focus", redraw);
    canvas.addEventListener("blur", () => { G.hideTip(); redraw(); });
    new ResizeObserver(redraw).observe(element);
    const view = { element, canvas, redraw, paint };
    views.push(view);
    return view;
  };

  // Buttons that look nearer, farther, and at all.
  G.zoomBar = (name, zoomed, reset) => G.el("div", { class: "bar" },
    G.button(`${name}-nearer`, "+", "nearer", () => zoomed(1.6)),
    G.button(`${name}-farther`, "−", "farther", () => zoomed(1 / 1.6)),
    G.button(`${name}-all`, "all", "all of it", reset));

  // All pictures at once, in the colours of now.
  G.repaintAll = () => {
    G.forgetColours();
    views.forEach((view) => view.paint());
  };
}
