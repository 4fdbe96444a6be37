"use strict";
// Where versions lie side by side, the name of this one opens a list of all. A page opened from a disk, or a list that
// is not there, leaves the name as it is.
(async () => {
  const nav = document.querySelector(".versions[data-list]");
  if (!nav || location.protocol === "file:") return;
  const { name, page, list } = nav.dataset;
  let versions;
  try {
    const reply = await fetch(list);
    if (!reply.ok) return;
    versions = (await reply.json()).versions;
  } catch {
    return;
  }
  if (versions.length < 2) return;
  const made = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
  const fold = made("details"), items = made("ul");
  fold.append(made("summary", `Version ${name}`), items);
  for (const version of versions) {
    const link = made("a", version.name + (version.note ? ` (${version.note})` : "")), item = made("li");
    // The same page, where that version has it.
    const place = version.pages.includes(page) ? page : "index";
    link.href = new URL(`${version.name}/${place}.html`, new URL(list, location)).href;
    if (version.name === name) link.setAttribute("aria-current", "true");
    item.append(link);
    items.append(item);
  }
  fold.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !fold.open) return;
    fold.open = false;
    fold.firstElementChild.focus();
  });
  nav.replaceChildren(fold);
})();
