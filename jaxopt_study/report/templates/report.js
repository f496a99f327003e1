"use strict";
(() => {
  const byData = (name, id) => document.querySelectorAll(`[data-${name}="${id}"]`);
  const rows = (table) => [...table.tBodies[0].rows];

  // A row is shown if it has every word that is looked for and the chosen value.
  const filter = (table) => {
    const words = [...byData("find", table.id)].flatMap((field) => field.value.toLowerCase().split(/\s+/)).filter(Boolean);
    const choices = [...byData("choose", table.id)].filter((field) => field.value);
    let shown = 0;
    for (const row of rows(table)) {
      const text = row.textContent.toLowerCase();
      const keep = words.every((word) => text.includes(word)) &&
        choices.every((field) => row.dataset[field.dataset.column] === field.value);
      row.hidden = !keep;
      shown += keep;
    }
    for (const place of byData("count", table.id)) {
      place.textContent = `${shown} of ${rows(table).length} ${place.dataset.noun}`;
    }
  };

  // Empty cells come last in both directions; equal ones keep their order.
  const sort = (table, column, descending) => {
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
    const number = (text) => ({ inf: Infinity, "-inf": -Infinity })[text] ?? Number(text);
    const order = (a, b) => numeric ? number(a) - number(b) || 0 : a.localeCompare(b, "en", { numeric: true });
    const sorted = rows(table).map((row) => [key(row), row]).sort(([a], [b]) =>
      a === "" || b === "" ? (a === "") - (b === "") : descending ? order(b, a) : order(a, b));
    table.tBodies[0].append(...sorted.map(([, row]) => row));
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if (at === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") === "ascending"));
      head.append(button);
    });
  }
  for (const field of document.querySelectorAll("[data-find], [data-choose]")) {
    const table = document.getElementById(field.dataset.find ?? field.dataset.choose);
    field.addEventListener("input", () => filter(table));
    filter(table);
  }
  for (const controls of document.querySelectorAll(".controls")) controls.hidden = false;
})();
