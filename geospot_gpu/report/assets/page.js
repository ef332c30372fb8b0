// What all parts share: the data, what is chosen, elements, numbers as text, and the tip.
"use strict";
const G = { data: JSON.parse(document.getElementById("data").textContent), parts: {} };

G.state = { at: null, column: null, reverse: false, colours: "viridis" };
{
  const listeners = [];
  G.onChange = (listener) => listeners.push(listener);
  G.set = (change) => {
    Object.assign(G.state, change);
    for (const listener of listeners) listener();
  };
}

// An element with attributes, listeners ("on..."), and children: elements, or text, never markup.
G.el = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

G.button = (testid, text, title, action) =>
  G.el("button", { type: "button", "data-testid": testid, title, "aria-label": title, onclick: action }, text);

G.select = (testid, label, options, chosen, action) => {
  const select = G.el("select", { "data-testid": testid, onchange: () => action(select.value) },
    ...options.map(([value, text]) => G.el("option", { value, selected: value === chosen }, text)));
  return G.el("label", {}, label, " ", select);
};

// Four digits, as the tables of the page have them.
G.number = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) < 1e-3) return value.toExponential(2);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
};

// More digits, of bounds that lie close together.
G.close = (value) => (Number.isNaN(value) ? "–" : Number(value.toPrecision(6)).toString());

G.interval = (low, high) => `[${G.close(low)}, ${G.close(high)}]`;

// Colours of the style, each asked for once: a picture asks for thousands.
{
  const known = new Map();
  G.colour = (name) => {
    if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
    return known.get(name);
  };
  G.forgetColours = () => known.clear();
}

// One tip for all, which screen readers hear, too.
{
  const tip = document.getElementById("tip");
  let held = false; // by the keyboard, whose focus scrolls the page
  G.showTip = (lines, x, y, byKeys = false) => {
    held = byKeys;
    tip.replaceChildren(...lines.map((line, k) => G.el(k ? "div" : "strong", {}, line)));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const right = document.documentElement.clientWidth;
    tip.style.left = `${Math.max(4, Math.min(x + 14, right - width - 4))}px`;
    tip.style.top = `${y + 18 + height > window.innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
  };
  G.hideTip = () => { tip.hidden = true; };
  window.addEventListener("scroll", () => { if (!held) G.hideTip(); }, { passive: true });
}
