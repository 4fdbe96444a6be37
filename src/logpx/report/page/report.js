"use strict";
// Sorting: a click or the Enter key on a heading; numbers by size, the rest by text; empty cells last.
const numberOf = (text) => {
  const found = text.replaceAll(",", "").replaceAll("−", "-").match(/^\s*(-?inf|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/i);
  if (!found) return null;
  return /inf/i.test(found[1]) ? (found[1].startsWith("-") ? -Infinity : Infinity) : Number(found[1]);
};
const compare = (one, other) => {
  const a = numberOf(one), b = numberOf(other);
  if (a !== null && b !== null) return a < b ? -1 : a > b ? 1 : 0;
  if (a !== null || b !== null) return a !== null ? -1 : 1;
  return one.localeCompare(other);
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const text = (row) => row.cells[place].textContent.trim();
      const rows = [...table.tBodies[0].rows];
      const empty = (row) => ["", "–"].includes(text(row));
      rows.sort((one, other) => empty(one) - empty(other) || (falling ? -1 : 1) * compare(text(one), text(other)));
      table.tBodies[0].append(...rows);
    });
  });
}
// Pointing at a figure, or moving in it by the arrow keys, says which values lie there.
const readout = document.getElementById("readout");
const valueAt = (axis, share) => {
  const low = axis.log ? Math.log10(axis.from) : axis.from, high = axis.log ? Math.log10(axis.to) : axis.to;
  const place = low + share * (high - low), value = axis.log ? 10 ** place : place;
  if (axis.names.length) {
    const near = axis.names.reduce((best, one) => Math.abs(one[0] - value) < Math.abs(best[0] - value) ? one : best);
    return near[1];
  }
  return Number(value.toPrecision(4)).toLocaleString("en");
};
const panelsOf = (svg) => (svg.panels ??= JSON.parse(svg.dataset.panels));
const beside = (clientX, clientY) => {
  readout.style.left = `${Math.max(Math.min(clientX + 12, innerWidth - readout.offsetWidth - 8), 4)}px`;
  readout.style.top = `${Math.max(clientY - 32, 4)}px`;
};
const say = (panel, x, y, clientX, clientY) => {
  const [left, top, right, bottom] = panel.box, said = [];
  if (panel.x?.shown) said.push(`${panel.x.label || panel.title || "x"}: ${valueAt(panel.x, (x - left) / (right - left))}`);
  if (panel.y?.shown) said.push(`${panel.y.label || "y"}: ${valueAt(panel.y, (bottom - y) / (bottom - top))}`);
  if (!said.length) return;
  readout.textContent = said.join("; ");
  readout.hidden = false;
  beside(clientX, clientY);
};
const point = (event) => {
  const svg = event.target.closest("svg[data-panels]");
  readout.hidden = true;
  for (const mark of document.querySelectorAll(".mark")) mark.remove();
  if (!svg) return;
  const frame = svg.getBoundingClientRect(), box = svg.viewBox.baseVal;
  const x = (event.clientX - frame.left) / frame.width * box.width, y = (event.clientY - frame.top) / frame.height * box.height;
  const panel = panelsOf(svg).find(({ box: [left, top, right, bottom] }) => x >= left && x <= right && y >= top && y <= bottom);
  // Nobody who points needs to be told aloud.
  readout.setAttribute("aria-live", "off");
  if (panel) say(panel, x, y, event.clientX, event.clientY);
};
document.addEventListener("pointermove", point);
const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const forget = (drawing) => {
  readout.hidden = true;
  drawing.querySelector(".mark")?.remove();
};
const walk = (event) => {
  const drawing = event.currentTarget, svg = drawing.querySelector("svg[data-panels]");
  if (event.key === "Escape") forget(drawing);
  const step = steps[event.key], panels = svg ? panelsOf(svg) : [];
  if (!step || !panels.length || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  // Beyond the side of one panel lies the next.
  const at = svg.place ??= { panel: 0, x: 0.5, y: 0.5 };
  at.x += 0.02 * step[0];
  at.y = Math.min(1, Math.max(0, at.y + 0.02 * step[1]));
  if (at.x < -1e-9 || at.x > 1 + 1e-9) {
    const next = at.panel + step[0], there = next >= 0 && next < panels.length;
    at.x = (step[0] > 0) === there ? 0 : 1;
    if (there) at.panel = next;
  }
  const [left, top, right, bottom] = panels[at.panel].box;
  const x = left + at.x * (right - left), y = bottom - at.y * (bottom - top);
  const mark = svg.querySelector(".mark") ?? svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "circle"));
  mark.setAttribute("class", "mark");
  mark.setAttribute("r", "4");
  mark.setAttribute("cx", String(x));
  mark.setAttribute("cy", String(y));
  const box = svg.viewBox.baseVal, width = svg.getBoundingClientRect().width;
  drawing.scrollLeft = x / box.width * width - drawing.clientWidth / 2;
  const frame = svg.getBoundingClientRect();
  readout.setAttribute("aria-live", "polite");
  say(panels[at.panel], x, y, frame.left + x / box.width * frame.width, frame.top + y / box.height * frame.height);
};
// What is said stays at its mark while the page scrolls.
addEventListener("scroll", () => {
  const mark = document.querySelector(".mark")?.getBoundingClientRect();
  if (mark) beside((mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2);
  else readout.hidden = true;
}, { passive: true });
for (const drawing of document.querySelectorAll(".drawing")) {
  drawing.addEventListener("keydown", walk);
  drawing.addEventListener("blur", () => forget(drawing));
}
// Enlarging: a dialog, which Escape closes.
const large = document.getElementById("large");
for (const button of document.querySelectorAll(".enlarge")) {
  const figure = button.closest("figure"), title = figure.querySelector("figcaption strong").textContent;
  button.setAttribute("aria-label", `Enlarge: ${title.replace(/\.$/, "")}`);
  button.addEventListener("click", () => {
    large.lastElementChild.replaceChildren(figure.querySelector("svg").cloneNode(true));
    large.setAttribute("aria-label", title);
    large.showModal();
  });
}
