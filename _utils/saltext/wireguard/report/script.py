"""
What the page does when it is used. Python, not a file of its own: Salt syncs nothing else.

Names get into the page as text alone: the script makes elements and sets their ``textContent``, never HTML.
"""

from __future__ import annotations

from .matrixscript import MATRIX

_START = r"""
"use strict";
const networks = JSON.parse(document.getElementById("data").textContent).networks;
const STATES = {u: "up", i: "idle", "?": "unknown", s: "stale", d: "down"};
const ORDER = "dsu?i";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
const named = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const state = (net, a, b) => networks[net].states ? networks[net].states[a * networks[net].names.length + b] : ".";
const details = document.getElementById("details");
"""

# Tables: sort, search, and choose.
_TABLES = r"""
const ordered = cell => {
  const given = cell.dataset.order ?? cell.textContent.replace(/,/g, "");
  return given !== "" && !isNaN(given) ? Number(given) : given;
};
const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
  : String(a).localeCompare(String(b), undefined, {numeric: true});
for (const head of all("th")) {
  head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    all("th", head.parentNode).forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const rows = [...body.rows].map(row => [ordered(row.cells[head.cellIndex]), row]);
    rows.sort((a, b) => up ? compare(a[0], b[0]) : compare(b[0], a[0]));
    body.append(...rows.map(row => row[1]));
  });
}
const filter = ident => {
  const words = document.querySelector(`input[data-table="${ident}"]`).value.toLowerCase().split(/\s+/);
  const look = document.querySelector(`input[data-look="${ident}"]`)?.checked;
  const rows = [...document.getElementById(ident).tBodies[0].rows];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word)) || (look && !row.classList.contains("look"));
  }
  const shown = rows.filter(row => !row.hidden).length;
  document.querySelector(`[data-count="${ident}"]`).textContent =
    shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
};
for (const input of all("input[data-table], input[data-look]")) {
  const ident = input.dataset.table || input.dataset.look;
  input.addEventListener("input", () => filter(ident));
  filter(ident);
}
const pressed = action => event => {
  if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
  const found = event.target.closest("[data-node]");
  if (!found) return;
  if (event.type === "keydown") event.preventDefault();
  action(found.dataset.node);
};
for (const body of all("tbody")) {
  body.addEventListener("click", pressed(node => { if (!String(getSelection())) choose(node); }));
  body.addEventListener("keydown", pressed(node => choose(node)));
}
"""

# One node: in the picture, in the table, and in words.
_NODES = r"""
const rowOf = node => document.querySelector(`#all-nodes tr[data-node="${node}"]`);
const peersOf = (net, number) => {
  const size = networks[net].names.length;
  const found = [];
  for (let other = 0; other < size; other++) {
    const sees = state(net, number, other), seen = state(net, other, number);
    if (sees === ".") continue;
    const both = [sees, seen].filter(each => each !== "?").sort((a, b) => rank(a) - rank(b));
    found.push([other, both[0] || "?", sees, seen]);
  }
  return found.sort((a, b) => rank(a[1]) - rank(b[1]));
};
const rank = letter => ORDER.indexOf(letter);
function choose(node) {
  const [net, number] = node.split(":").map(Number);
  all(".chosen, .on").forEach(each => each.classList.remove("chosen", "on"));
  all(".picked").forEach(each => each.classList.remove("picked"));
  all(".rays").forEach(each => each.remove());
  const peers = peersOf(net, number);
  mark(net, number, peers);
  describe(node, net, number, peers);
  rowOf(node)?.classList.add("chosen");
  if (matchMedia("(max-width:900px)").matches) details.scrollIntoView({block: "center"});
}
function place(shape) {
  if (shape.tagName === "circle") return [shape.cx.baseVal.value, shape.cy.baseVal.value];
  const box = shape.getBBox();
  return [box.x + box.width / 2, box.y + box.height / 2];
}
function mark(net, number, peers) {
  const svg = document.querySelector(`svg[data-network="${net}"]`);
  const at = new Map(all(".node", svg).map(each => [each.dataset.node, each]));
  const own = at.get(String(number));
  if (!own) return;
  own.classList.add("chosen", "on");
  svg.classList.add("picked");
  const rays = document.createElementNS(svg.namespaceURI, "g");
  rays.setAttribute("class", "lines rays");
  const [x, y] = place(own.children[1]);
  for (const [other, worst] of [...peers].reverse()) {
    const node = at.get(String(other));
    const [right, down] = place(node.children[1]);
    const ray = document.createElementNS(svg.namespaceURI, "path");
    ray.setAttribute("class", "line " + STATES[worst]);
    ray.setAttribute("d", `M${x} ${y}L${right} ${down}`);
    rays.append(ray);
    node.classList.add("on");
  }
  rays.style.opacity = 1;
  svg.insertBefore(rays, svg.querySelector(".nodes"));
}
function describe(node, net, number, peers) {
  const row = rowOf(node), network = networks[net];
  const facts = make("dl");
  const heads = all("#all-nodes th").map(each => each.textContent).concat(["Public key", "Routes"]);
  [...row.cells].forEach((cell, place) => {
    if (place && cell.textContent) facts.append(make("dt", heads[place]), make("dd", cell.textContent));
  });
  const show = make("button", "Show in table");
  show.addEventListener("click", () => {
    all("[data-look='all-nodes']").forEach(each => { each.checked = false; });
    document.querySelector("input[data-table='all-nodes']").value = "";
    filter("all-nodes");
    row.scrollIntoView({block: "center"});
  });
  details.replaceChildren(make("h3", network.names[number]), facts, show, make("h3", `${peers.length} peers`));
  const list = make("ul", undefined, "plain");
  for (const [other, worst, sees, seen] of peers.slice(0, 60)) {
    const item = make("li"), link = make("button", network.names[other], "state " + STATES[worst]);
    link.addEventListener("click", () => choose(net + ":" + other));
    const words = sees === seen || seen === "?" ? STATES[sees] : `${STATES[sees]}; the other end: ${STATES[seen]}`;
    const ping = pinged(net, number, other);
    item.append(link, " " + words + (ping ? ", " + ping : ""));
    list.append(item);
  }
  if (peers.length > 60) list.append(make("li", `and ${peers.length - 60} more`));
  details.append(list);
  const past = all(`tr[data-of="${node}"]`).slice(0, 10);
  if (past.length) {
    const events = make("ul", undefined, "plain");
    for (const each of past) {
      const [time, , what, why] = [...each.cells].map(cell => cell.textContent);
      events.append(make("li", `${time} ${what}: ${why}`));
    }
    details.append(make("h3", "History"), events);
  }
}
function pinged(net, a, b) {
  const {rtt, loss, names} = networks[net];
  if (!rtt) return "";
  const cell = a * names.length + b;
  if (loss[cell] < 0) return "";
  if (loss[cell] === 100) return "no ping came back";
  return `${rtt[cell] / 100} ms` + (loss[cell] ? `, ${loss[cell]} % lost` : "");
}
"""

# Pictures: move and zoom, by buttons, mouse and fingers.
_MAPS = r"""
for (const svg of all("svg.topology")) {
  const whole = svg.getAttribute("viewBox").split(" ").map(Number);
  let view = [...whole], moved = false;
  const fingers = new Map();
  const apply = () => {
    svg.setAttribute("viewBox", view.join(" "));
    svg.classList.toggle("near", view[2] < whole[2] * .98);
    const wide = Math.max(view[2] / svg.clientWidth, view[3] / svg.clientHeight);
    svg.classList.toggle("close", wide < .45);
  };
  const point = event => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  };
  const zoom = (factor, [x, y]) => {
    const width = Math.min(Math.max(view[2] * factor, 60), whole[2]);
    const by = width / view[2];
    view = [x - (x - view[0]) * by, y - (y - view[1]) * by, width, view[3] * by];
    if (width === whole[2]) view = [...whole];
    apply();
  };
  const centre = () => [view[0] + view[2] / 2, view[1] + view[3] / 2];
  all("[data-zoom]", svg.parentNode).forEach(button => button.addEventListener("click", () => {
    if (button.dataset.zoom === "all") { view = [...whole]; apply(); }
    else zoom(button.dataset.zoom === "in" ? .6 : 1.7, centre());
  }));
  svg.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 300), point(event));
  }, {passive: false});
  svg.addEventListener("pointerdown", event => {
    fingers.set(event.pointerId, point(event));
    moved = false;
  });
  svg.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId);
    if (!before || (event.pointerType === "touch" && fingers.size === 1 && !svg.classList.contains("near"))) return;
    const now = point(event);
    if (Math.hypot(now[0] - before[0], now[1] - before[1]) < view[2] / 200 && !moved) return;
    moved = true;
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(each => each[0] !== event.pointerId).map(each => each[1]);
      const apart = at => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      zoom(apart(before) / apart(now), other);
      fingers.set(event.pointerId, point(event));
    } else if (svg.classList.contains("near")) {
      view[0] -= now[0] - before[0];
      view[1] -= now[1] - before[1];
      apply();
    }
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"])
    svg.addEventListener(kind, event => fingers.delete(event.pointerId));
  svg.addEventListener("click", event => {
    if (moved) return;
    const node = event.target.closest(".node"), disc = event.target.closest(".disc");
    if (node) choose(svg.dataset.network + ":" + node.dataset.node);
    else if (disc && !svg.classList.contains("near")) {
      const shape = whole[3] / whole[2], side = 2.3 * disc.r.baseVal.value;
      const scale = side / Math.min(svg.clientWidth, svg.clientHeight);
      const width = scale * Math.min(svg.clientWidth, svg.clientHeight / shape), height = width * shape;
      view = [disc.cx.baseVal.value - width / 2, disc.cy.baseVal.value - height / 2, width, height];
      apply();
    }
  });
  svg.addEventListener("keydown", pressed(node => choose(svg.dataset.network + ":" + node)));
  new ResizeObserver(apply).observe(svg);
}
"""

SCRIPT = "".join((_START, _TABLES, _NODES, _MAPS, MATRIX))
