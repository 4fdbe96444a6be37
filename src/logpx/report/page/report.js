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
// Pointing at a figure says which values lie there.
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
const point = (event) => {
  const svg = event.target.closest("svg[data-panels]");
  readout.hidden = true;
  if (!svg) return;
  const frame = svg.getBoundingClientRect(), box = svg.viewBox.baseVal;
  const x = (event.clientX - frame.left) / frame.width * box.width, y = (event.clientY - frame.top) / frame.height * box.height;
  svg.panels ??= JSON.parse(svg.dataset.panels);
  const panel = svg.panels.find(({ box: [left, top, right, bottom] }) => x >= left && x <= right && y >= top && y <= bottom);
  if (!panel) return;
  const [left, top, right, bottom] = panel.box, said = [];
  if (panel.x?.shown) said.push(`${panel.x.label || panel.title || "x"}: ${valueAt(panel.x, (x - left) / (right - left))}`);
  if (panel.y?.shown) said.push(`${panel.y.label || "y"}: ${valueAt(panel.y, (bottom - y) / (bottom - top))}`);
  if (!said.length) return;
  readout.textContent = said.join("; ");
  readout.hidden = false;
  readout.style.left = `${Math.min(event.clientX + 12, innerWidth - readout.offsetWidth - 8)}px`;
  readout.style.top = `${Math.max(event.clientY - 32, 4)}px`;
};
document.addEventListener("pointermove", point);
// Enlarging: a dialog, which Escape closes.
const large = document.getElementById("large");
for (const button of document.querySelectorAll(".enlarge")) {
  const figure = button.closest("figure"), title = figure.querySelector("figcaption strong").textContent;
  button.setAttribute("aria-label", `Enlarge: ${title}`);
  button.addEventListener("click", () => {
    large.lastElementChild.replaceChildren(figure.querySelector("svg").cloneNode(true));
    large.setAttribute("aria-label", title);
    large.showModal();
  });
}
