"use strict";
(() => {
  const token = location.hash.slice(1);
  const find = (id) => document.getElementById(id);
  const svgNames = "http://www.w3.org/2000/svg";

  function made(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in node && typeof value !== "string") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  function drawn(tag, attributes) {
    const node = document.createElementNS(svgNames, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }

  // Arrow keys go from bar to bar of a picture that has the focus, as pointing does.
  function walked(picture, count, read, forget) {
    let place = null;
    const leave = () => {
      picture.querySelector(".read")?.classList.remove("read");
      forget();
    };
    picture.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (event.key === "Escape") leave();
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      place = Math.min(count - 1, Math.max(0, place === null ? Math.floor(count / 2) : place + step));
      leave();
      picture.querySelectorAll("rect")[place].classList.add("read");
      read(place);
    });
    picture.addEventListener("blur", leave);
  }

  function complain(text) {
    find("problem").textContent = text;
    find("problem").hidden = !text;
  }

  async function ask(question, given = {}) {
    let reply;
    try {
      reply = await fetch("answer/" + question, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Logpx-Token": token },
        body: JSON.stringify(given),
      });
    } catch {
      throw new Error("logpx explore has ended: start it again, and open the new address");
    }
    const answer = await reply.json();
    if (!reply.ok) throw new Error(answer.fix ? answer.message + ". " + answer.fix : answer.message);
    return answer;
  }

  // Questions of one kind: while one is answered, only the last of those that follow is kept.
  function asker(question, use) {
    let busy = false, waiting = null;
    return async function again(given) {
      if (busy) { waiting = given; return; }
      busy = true;
      try {
        const answer = await ask(question, given);
        complain("");
        use(answer, given);
      } catch (error) {
        complain(error.message);
      }
      busy = false;
      if (waiting !== null) { const next = waiting; waiting = null; again(next); }
    };
  }

  function percent(share) {
    return share >= 0.0995 ? Math.round(100 * share) + " %" : (100 * share).toPrecision(2) + " %";
  }

  // Latent spaces: a slider for every dimension. Returns what asks again for the place that is chosen.

  function latentPart(size, words, ask) {
    find("main").append(find("latent-page").content.cloneNode(true));
    find("latent-words").textContent = words;
    const sliders = [], values = [];
    const decode = () => ask(sliders.map((slider) => Number(slider.value)));
    for (let place = 0; place < size; place += 1) {
      const slider = made("input", { type: "range", min: "-3", max: "3", step: "0.1", value: "0" });
      const value = made("output", {}, "0.0");
      slider.addEventListener("input", () => { value.textContent = Number(slider.value).toFixed(1); decode(); });
      sliders.push(slider);
      values.push(value);
      find("sliders").append(made("label", {}, `z${place + 1}`, slider, value));
    }
    const move = (make) => {
      sliders.forEach((slider, place) => { slider.value = String(make()); values[place].textContent = Number(slider.value).toFixed(1); });
      decode();
    };
    find("origin").addEventListener("click", () => move(() => 0));
    find("wander").addEventListener("click", () => move(() => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())));
    decode();
    return decode;
  }

  // Tables

  function tablePage(model) {
    find("main").append(find("table-page").content.cloneNode(true));
    const held = new Map();
    const cards = new Map();
    const atOnce = 12;
    let seed = 0, turn = 0;

    // Few columns at a time, so that the first are seen at once; a change of what is held begins anew.
    const densities = asker("densities", (answer, given) => {
      answer.columns.forEach(show);
      if (given.left.length && given.turn === turn) describe(given.given, given.left, given.turn);
    });
    const describe = (given, names, turn) =>
      densities({ given, columns: names.slice(0, atOnce), left: names.slice(atOnce), turn });
    const samples = asker("samples", fillSamples);
    const row = asker("row", showRow);

    function shown() {
      return model.columns.map((one) => one.name).filter((name) => cards.has(name) && !cards.get(name).node.hidden);
    }

    function changed() {
      const given = Object.fromEntries(held);
      turn += 1;
      describe(given, shown().filter((name) => !held.has(name)), turn);
      samples({ given, n: 12, seed });
      const words = [...held].map(([name, value]) => name + " = " + value);
      find("fixed").textContent = words.length ? "Fixed: " + words.join(", ") : "Nothing is fixed.";
      for (const [name, card] of cards) {
        card.node.classList.toggle("held", held.has(name));
        card.button.setAttribute("aria-pressed", String(held.has(name)));
        card.button.textContent = held.has(name) ? "Free" : "Hold";
        if (held.has(name)) card.between.textContent = "= " + held.get(name);
      }
    }

    function show(column) {
      const card = cards.get(column.name);
      card.chart.replaceChildren();
      card.ends.replaceChildren();
      if (column.labels) {
        const order = column.labels.map((_, place) => place).sort((a, b) => column.share[b] - column.share[a]);
        const most = Math.max(...column.share, ...column.usual, 1e-12);
        // Where labels are many the list scrolls, by keys once it has the focus.
        const list = made("div", { class: "labels", tabindex: "0", role: "group", "aria-label": `${column.name}: labels by probability` });
        for (const place of order.slice(0, 40)) {
          const bar = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
          bar.append(drawn("rect", { class: "share", x: 0, y: 1, height: 8, width: 100 * column.share[place] / most }));
          const at = 100 * column.usual[place] / most;
          bar.append(drawn("path", { class: "usual", d: `M${at} 0V10` }));
          const name = made("span", { title: column.labels[place] }, column.labels[place]);
          list.append(made("div", {}, name, bar, made("span", {}, percent(column.share[place]))));
        }
        card.chart.append(list);
        card.between.textContent = "most probable: " + column.labels[order[0]];
        return;
      }
      // Single values stand side by side, however far apart they are.
      const edges = column.single ? column.edges.map((_, place) => place) : column.edges;
      const widths = edges.slice(1).map((edge, place) => edge - edges[place]);
      const heights = (masses) => masses.map((mass, place) => (widths[place] > 0 ? mass / widths[place] : 0));
      const share = heights(column.share), usual = heights(column.usual);
      const top = Math.max(...share, 1e-300), low = edges[0], span = edges.at(-1) - low || 1;
      const x = (edge) => (100 * (edge - low)) / span;
      const picture = drawn("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", tabindex: "0", "aria-describedby": "keys" });
      picture.append(drawn("title", {}));
      picture.firstChild.textContent = `${column.name}: median ${column.median}, 90 % from ${column.low} to ${column.high}`;
      const said = (place) => `${column.single ? "" : "around "}${column.texts[place]}: ${percent(column.share[place])}`;
      share.forEach((height, place) => {
        const bar = drawn("rect", {
          class: "share", x: x(edges[place]), width: Math.max(x(edges[place + 1]) - x(edges[place]), 0.2),
          y: 100 - (100 * height) / top, height: (100 * height) / top,
        });
        const words = drawn("title", {});
        words.textContent = said(place);
        bar.append(words);
        picture.append(bar);
      });
      const line = usual.map((height, place) => {
        const y = 100 - Math.min(100, (100 * height) / top);
        return `${place ? "L" : "M"}${x(edges[place])} ${y}L${x(edges[place + 1])} ${y}`;
      });
      picture.append(drawn("path", { class: "usual", d: line.join("") }));
      walked(picture, share.length, (place) => { card.reading.textContent = said(place); }, () => { card.reading.textContent = ""; });
      card.chart.append(picture);
      card.ends.append(made("span", {}, column.texts[0]), made("span", {}, column.texts.at(-1)));
      card.between.textContent = `median ${column.median}, 90 % from ${column.low} to ${column.high}`;
    }

    function control(column, value) {
      const hold = (text) => { held.set(column.name, text); changed(); };
      if (column.labels) {
        const select = made("select", { "aria-label": column.name, disabled: !model.conditions });
        column.labels.forEach((label) => select.append(made("option", { value: label }, label)));
        select.selectedIndex = column.usual;
        select.addEventListener("change", () => hold(select.value));
        return { nodes: [select], value: () => select.value };
      }
      const last = Math.max(column.points.length - 1, 0);
      const slider = made("input", {
        type: "range", min: "0", max: String(last), value: String(column.usual), "aria-label": column.name,
        disabled: !model.conditions,
      });
      const text = made("input", {
        type: "text", value: column.points[column.usual], "aria-label": column.name + ", exactly", disabled: !model.conditions,
      });
      slider.addEventListener("input", () => { text.value = column.points[slider.value]; hold(text.value); });
      text.addEventListener("change", () => hold(text.value));
      return { nodes: [slider, text], value: () => text.value };
    }

    for (const column of model.columns) {
      const own = control(column);
      const button = made("button", { type: "button", disabled: !model.conditions }, "Hold");
      button.addEventListener("click", () => {
        if (held.has(column.name)) held.delete(column.name); else held.set(column.name, own.value());
        changed();
      });
      const reading = made("output", { class: "reading" });
      const parts = { button, reading, chart: made("div"), ends: made("div", { class: "ends" }), between: made("div", { class: "between" }) };
      parts.node = made("article", { class: "card" }, made("h3", {}, column.name), parts.between, parts.chart, parts.ends, reading,
        made("div", { class: "control" }, ...own.nodes, button));
      cards.set(column.name, parts);
      find("cards").append(parts.node);
      find("row").append(made("label", {}, column.name, made("input", { type: "text", name: column.name })));
    }

    function sift() {
      const mostCards = 60, wanted = find("filter").value.trim().toLowerCase();
      let count = 0, found = 0;
      for (const [name, card] of cards) {
        const matches = name.toLowerCase().includes(wanted);
        found += matches ? 1 : 0;
        const fits = matches && (count < mostCards || held.has(name));
        card.node.hidden = !fits;
        count += fits ? 1 : 0;
      }
      find("found").textContent = count < found ? `${count} of ${found} columns are shown: find others by their names.` : "";
    }

    function fillSamples(answer) {
      const body = find("samples").tBodies[0];
      find("samples").tHead.replaceChildren(made("tr", {}, made("th", { scope: "col" }, "row"), ...answer.columns.map((name) => made("th", { scope: "col" }, name))));
      body.replaceChildren(...answer.rows.map((cells, place) => {
        const choose = made("button", { type: "button", "aria-label": `choose row ${place + 1}` }, "choose");
        choose.addEventListener("click", () => {
          answer.columns.forEach((name, index) => { const field = find("row").elements.namedItem(name); if (field) field.value = cells[index]; });
          askRow();
          find("row-heading").scrollIntoView();
        });
        return made("tr", {}, made("td", {}, choose), ...cells.map((cell) => made("td", {}, cell)));
      }));
    }

    function askRow() {
      const values = {};
      for (const field of find("row").querySelectorAll("input")) values[field.name] = field.value;
      row({ values });
    }

    function showRow(answer) {
      const value = answer.log_prob === null ? "−∞" : answer.log_prob.toFixed(3).replace("-", "−");
      const error = answer.standard_error > 0 ? " ± " + answer.standard_error.toPrecision(2) : "";
      const name = answer.kind === "exact" ? "log p" : answer.kind + " of log p";
      const lines = [made("p", {}, made("strong", {}, `${name} = ${value}${error} nats`))];
      if (answer.p_value !== null) {
        lines.push(made("p", {}, `p-value ${answer.p_value.toPrecision(2)}: the share of rows as unusual as this one or more, among ${answer.aside}.`));
      }
      const reasons = made("ul", {}, ...answer.reasons.map((reason) => made("li", {}, reason)));
      lines.push(answer.reasons.length ? reasons : made("p", { class: "soft" }, answer.unexplained || "No single cell is unusual given the others."));
      find("answer").replaceChildren(...lines);
    }

    find("filter").addEventListener("input", () => { sift(); changed(); });
    find("free-all").addEventListener("click", () => { held.clear(); changed(); });
    find("draw").addEventListener("click", () => { seed += 1; samples({ given: Object.fromEntries(held), n: 12, seed }); });
    find("row").addEventListener("submit", (event) => { event.preventDefault(); askRow(); });
    find("take").addEventListener("click", () => {
      for (const field of find("row").querySelectorAll("input")) field.value = held.get(field.name) ?? "";
    });
    sift();
    changed();
    if (!model.latent) return;
    const latent = asker("latent", (answer) => {
      const rows = answer.columns.map((name, place) => made("tr", {}, made("th", { scope: "row" }, name), made("td", {}, answer.values[place])));
      find("decoded").replaceChildren(made("table", {}, made("tbody", {}, ...rows)));
    });
    latentPart(model.latent, "The row that z stands for: medians, and the most probable labels. z is in deviations of its prior.", (z) => latent({ z }));
  }

  // Images

  function picture(answer, place, bytes) {
    const { width, height, channels } = answer;
    const canvas = made("canvas", { role: "img", "aria-label": answer.n > 1 ? `image ${place + 1} of ${answer.n}` : "image" });
    canvas.width = width;
    canvas.height = height;
    const data = new ImageData(width, height);
    const start = place * width * height * channels;
    for (let pixel = 0; pixel < width * height; pixel += 1) {
      for (let colour = 0; colour < 3; colour += 1) {
        data.data[4 * pixel + colour] = bytes.charCodeAt(start + pixel * channels + Math.min(colour, channels - 1));
      }
      data.data[4 * pixel + 3] = 255;
    }
    canvas.getContext("2d").putImageData(data, 0, 0);
    return canvas;
  }

  function pictures(answer, target) {
    const bytes = atob(answer.pixels);
    target.replaceChildren(...Array.from({ length: answer.n }, (_, place) => picture(answer, place, bytes)));
  }

  function imagesPage(model) {
    find("main").append(find("images-page").content.cloneNode(true));
    let seed = 0, temperature = 1, chosen = 0;
    const images = asker("images", (answer) => pictures(answer, find("gallery")));
    const latent = asker("latent", (answer) => pictures(answer, find("decoded")));
    const draw = () => images({ n: 24, seed, temperature, class: chosen });
    const bar = find("image-controls");
    const again = made("button", { type: "button" }, "Draw again");
    again.addEventListener("click", () => { seed += 1; draw(); });
    bar.append(again);
    if (model.temperature) {
      const slider = made("input", { type: "range", min: "0", max: "1.5", step: "0.05", value: "1" });
      const value = made("output", {}, "1.00");
      slider.addEventListener("input", () => { temperature = Number(slider.value); value.textContent = temperature.toFixed(2); draw(); });
      bar.append(made("label", {}, "Temperature ", slider, " ", value));
    }
    let decode = () => {};
    if (model.classes.length) {
      const select = made("select");
      model.classes.forEach((name, place) => select.append(made("option", { value: String(place) }, name)));
      select.addEventListener("change", () => { chosen = Number(select.value); draw(); decode(); });
      bar.append(made("label", {}, "Class ", select));
    }
    draw();
    if (model.latent) decode = latentPart(model.latent, "The mean image of z, in deviations of its prior.", (z) => latent({ z, class: chosen }));
  }

  document.addEventListener("DOMContentLoaded", async () => {
    try {
      const model = await ask("model");
      const what = model.kind === "table" ? `A model of a table of ${model.columns.length} columns` : `A model of images, ${model.shape.join(" × ")}`;
      find("what").textContent = `${what}; log p is ${model.what === "exact" ? "exact" : "a " + model.what}.`;
      for (const note of model.notes) find("what").after(made("p", { class: "soft" }, note[0].toUpperCase() + note.slice(1) + (note.endsWith(".") ? "" : ".")));
      (model.kind === "table" ? tablePage : imagesPage)(model);
    } catch (error) {
      find("what").textContent = "";
      complain(error.message);
    }
  });
})();
