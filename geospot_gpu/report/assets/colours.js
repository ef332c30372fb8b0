// Colour scales that the colour-blind can read, and their legends.
{
  const ANCHORS = {
    viridis: "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
    cividis: "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
    greys: "1b1b1b 3a3a3a 5a5a5a 7a7a7a 9a9a9a b8b8b8 d4d4d4 ececec",
    diverging: "2166ac 67a9cf d1e5f0 f2f2f2 fddbc7 ef8a62 b2182b",
  };
  G.SCALES = ["viridis", "cividis", "greys"];

  const tables = {};
  const table = (name) => {
    if (tables[name]) return tables[name];
    const anchors = ANCHORS[name].split(" ").map((hex) => [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)));
    const found = new Uint8Array(256 * 3);
    for (let k = 0; k < 256; k++) {
      const at = (k / 255) * (anchors.length - 1);
      const low = Math.min(Math.floor(at), anchors.length - 2);
      for (let c = 0; c < 3; c++) {
        found[3 * k + c] = Math.round(anchors[low][c] + (at - low) * (anchors[low + 1][c] - anchors[low][c]));
      }
    }
    tables[name] = found;
    return found;
  };

  // A scale from a domain [low, high] to colours; what is not known has none.
  G.scale = (low, high, name = G.state.colours) => {
    const colours = table(name);
    const index = (value) => Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low || 1))));
    return {
      low, high, colours, index,
      css: (value) => {
        if (value === null || value === undefined || Number.isNaN(value)) return null;
        const k = 3 * index(value);
        return `rgb(${colours[k]},${colours[k + 1]},${colours[k + 2]})`;
      },
    };
  };

  // Values from the 1st to the 99th percentile: one far pair must not take all colours.
  G.domain = (values) => {
    const step = Math.max(1, Math.floor(values.length / 50000));
    const some = [];
    for (let k = 0; k < values.length; k += step) if (Number.isFinite(values[k])) some.push(values[k]);
    if (!some.length) return [0, 1];
    some.sort((a, b) => a - b);
    const at = (share) => some[Math.round(share * (some.length - 1))];
    return [at(0.01), at(0.99)];
  };

  // A bar with its ends, and what it is of.
  G.legend = (testid) => {
    const canvas = G.el("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    const low = G.el("span"), high = G.el("span"), about = G.el("span", { class: "about" });
    const element = G.el("div", { class: "legend", "data-testid": testid }, low, canvas, high, about);
    element.show = (scale, text) => {
      const context = canvas.getContext("2d");
      const image = context.createImageData(256, 1);
      for (let k = 0; k < 256; k++) {
        for (let c = 0; c < 3; c++) image.data[4 * k + c] = scale.colours[3 * k + c];
        image.data[4 * k + 3] = 255;
      }
      context.putImageData(image, 0, 0);
      low.textContent = G.number(scale.low);
      high.textContent = G.number(scale.high);
      about.textContent = text;
    };
    return element;
  };
}
