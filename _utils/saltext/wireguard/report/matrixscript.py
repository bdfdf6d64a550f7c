"""The part of the page's script that draws the matrices; see ``script``."""

from __future__ import annotations

MATRIX = r"""
const title = site => site[0] || "no site";
const heat = (low, high, at) => `color-mix(in srgb, ${high} ${Math.round(100 * at)}%, ${low})`;
const choice = (label, options) => {
  const made = make("select");
  made.setAttribute("aria-label", label);
  options.forEach(each => made.append(new Option(each, each)));
  return made;
};

// What a matrix has to draw: of sites, or of the nodes in a range of rows and of columns.
class Sites {
  constructor(net) {
    const {sites} = networks[net];
    this.net = net;
    this.starts = sites.map((_, at) => sites.slice(0, at).reduce((sum, site) => sum + site[1], 0));
    this.rows = this.columns = sites.map(title);
  }
  range(site) {
    return [this.starts[site], this.starts[site] + networks[this.net].sites[site][1]];
  }
  count(a, b) {
    const found = {}, [left, right] = this.range(b);
    for (let one = this.range(a)[0]; one < this.range(a)[1]; one++)
      for (let two = left; two < right; two++) {
        const letter = state(this.net, one, two);
        found[letter] = (found[letter] || 0) + 1;
      }
    return found;
  }
  cell(a, b, colour) {
    const found = this.count(a, b), bad = (found.d || 0) + (found.s || 0);
    const known = bad + (found.u || 0) + (found.i || 0);
    if (!known && !found["?"]) return null;
    const well = colour(found.u ? "up" : found.i ? "idle" : "unknown");
    return {fill: bad ? heat(well, colour("down"), .25 + .75 * Math.sqrt(bad / known)) : well, number: bad};
  }
  words(a, b) {
    const found = this.count(a, b), named = Object.entries(STATES).filter(each => found[each[0]]);
    return named.map(([letter, name]) => `${found[letter]} ${name}`).join(", ") || "no pairs";
  }
}

class Nodes {
  constructor(net, value, rows, columns) {
    const {names, rtt, loss} = networks[net];
    Object.assign(this, {net, value, rtt, loss, size: names.length, first: [rows[0], columns[0]]});
    this.rows = names.slice(...rows);
    this.columns = names.slice(...columns);
  }
  pair(a, b) {
    return [this.first[0] + a, this.first[1] + b];
  }
  cell(a, b, colour) {
    const [one, other] = this.pair(a, b), letter = state(this.net, one, other);
    if (letter === ".") return null;
    if (this.value === "state") return {fill: colour(STATES[letter]), bad: "ds".includes(letter)};
    const place = one * this.size + other, loss = this.loss[place], rtt = this.rtt[place];
    if (loss < 0) return {fill: colour("unknown")};
    if (this.value === "loss" || rtt < 0) return {fill: heat(colour("up"), colour("down"), loss / 100), bad: loss > 0};
    return {fill: heat(colour("card"), colour("link"), .15 + .85 * Math.min(Math.log10(1 + rtt) / 4.5, 1))};
  }
  words(a, b) {
    const [one, other] = this.pair(a, b), letter = state(this.net, one, other), ping = pinged(this.net, one, other);
    return letter === "." ? "no pair" : STATES[letter] + (ping ? ", " + ping : "");
  }
}

class Canvas {
  constructor(root) {
    this.root = root;
    this.canvas = make("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "the pairs as a matrix; the table of pairs names those to look at");
  }
  // `edge`: the room for labels, where cells are large enough for them.
  measure({rows, columns}) {
    const most = Math.min(this.root.clientWidth, 900);
    const room = Math.min(150, 12 + 6.6 * Math.max(...rows.concat(columns).map(name => name.length)));
    this.edge = (most - room) / columns.length >= 9 ? room : 0;
    this.cell = Math.min(34, (most - this.edge) / columns.length);
  }
  draw(shown, lines) {
    this.measure(shown);
    const names = [...Object.values(STATES), "card", "link", "text"];
    const palette = Object.fromEntries(names.map(name => [name, named(name)]));
    const scale = devicePixelRatio || 1, width = this.root.clientWidth;
    const height = this.edge + this.cell * shown.rows.length;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    this.canvas.style.height = height + "px";
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(scale, scale);
    this.cells(shown, name => palette[name]);
    this.pen.fillStyle = palette.text;
    if (this.cell < 9) lines.forEach(each => this.line(shown, each));
    if (this.edge) this.labels(shown);
  }
  cells(shown, colour) {
    const {pen, edge, cell} = this, last = [];
    pen.fillStyle = colour("card");
    pen.fillRect(edge, edge, cell * shown.columns.length, cell * shown.rows.length);
    // Where cells are tiny, those to look at stand out: they are larger, and the others paler.
    pen.globalAlpha = cell > 3 ? 1 : .5;
    const side = cell > 6 ? cell - 1 : cell + .3;
    shown.rows.forEach((_, a) => shown.columns.forEach((_, b) => {
      const found = shown.cell(a, b, colour), x = edge + b * cell, y = edge + a * cell;
      if (!found) return;
      if (found.bad) { last.push([x, y, found.fill]); return; }
      pen.fillStyle = found.fill;
      pen.fillRect(x, y, side, side);
      if (found.number && cell > 16) this.text(found.number, x + cell / 2, y + cell / 2 + 4, "center", "#fff", 11);
    }));
    pen.globalAlpha = 1;
    for (const [x, y, fill] of last) {
      pen.fillStyle = fill;
      pen.fillRect(x, y, Math.max(side, 4), Math.max(side, 4));
    }
  }
  line(shown, {row, column}) {
    const {pen, edge, cell} = this;
    pen.globalAlpha = .35;
    if (row > 0 && row < shown.rows.length) pen.fillRect(edge, edge + row * cell, cell * shown.columns.length, .7);
    if (column > 0 && column < shown.columns.length)
      pen.fillRect(edge + column * cell, edge, .7, cell * shown.rows.length);
    pen.globalAlpha = 1;
  }
  text(words, x, y, align, fill, size, most) {
    this.pen.fillStyle = fill;
    this.pen.font = `${size}px system-ui, sans-serif`;
    this.pen.textAlign = align;
    this.pen.fillText(words, x, y, most);
  }
  labels(shown) {
    const {pen, edge, cell} = this, size = Math.min(12, cell), fill = pen.fillStyle;
    shown.rows.forEach((name, a) => this.text(name, edge - 6, edge + (a + .7) * cell, "right", fill, size, edge - 8));
    shown.columns.forEach((name, b) => {
      pen.save();
      pen.translate(edge + (b + .7) * cell, edge - 6);
      pen.rotate(-Math.PI / 2);
      this.text(name, 0, 0, "left", fill, size, edge - 8);
      pen.restore();
    });
  }
  under(event, shown) {
    const box = this.canvas.getBoundingClientRect();
    const places = [event.clientY - box.top, event.clientX - box.left];
    const [a, b] = places.map(at => Math.floor((at - this.edge) / this.cell));
    return a >= 0 && b >= 0 && a < shown.rows.length && b < shown.columns.length ? [a, b] : null;
  }
}

for (const root of all(".matrix")) {
  const net = Number(root.dataset.network), {names, rtt} = networks[net], everybody = [0, names.length];
  const sites = new Sites(net), drawn = new Canvas(root);
  const by = choice("rows and columns", sites.rows.length > 1 ? ["sites", "nodes"] : ["nodes"]);
  const value = choice("value", rtt ? ["state", "round trip", "loss"] : ["state"]);
  const whole = make("button", "All nodes"), readout = make("p", "", "readout mono");
  const tools = make("div", undefined, "tools");
  if (names.length <= 80) by.value = "nodes";
  let rows = everybody, columns = everybody, shown, width = 0;
  const draw = () => {
    shown = by.value === "sites" ? sites : new Nodes(net, value.value, rows, columns);
    const lines = sites.starts.map(at => ({row: at - rows[0], column: at - columns[0]}));
    drawn.draw(shown, shown === sites ? [] : lines);
    value.hidden = by.value === "sites" || !rtt;
    whole.hidden = rows === everybody;
  };
  const all_nodes = () => { rows = columns = everybody; draw(); };
  by.addEventListener("change", all_nodes);
  whole.addEventListener("click", all_nodes);
  value.addEventListener("change", draw);
  drawn.canvas.addEventListener("pointermove", event => {
    const at = drawn.under(event, shown);
    readout.textContent = at ? `${shown.rows[at[0]]} to ${shown.columns[at[1]]}: ${shown.words(...at)}` : "";
  });
  drawn.canvas.addEventListener("click", event => {
    const at = drawn.under(event, shown);
    if (!at) return;
    if (shown !== sites) { choose(`${net}:${shown.pair(...at)[0]}`); return; }
    by.value = "nodes";
    [rows, columns] = at.map(site => sites.range(site));
    draw();
  });
  tools.append(by, value, whole, readout);
  root.append(tools, drawn.canvas);
  new ResizeObserver(() => {
    if (root.clientWidth !== width) requestAnimationFrame(draw);
    width = root.clientWidth;
  }).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
"""
