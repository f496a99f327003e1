// A map: a table of buttons, a cell a configuration.

const MOST = 48,
  FEWEST = 8,
  NUMBERED = 12; // rows or columns of a map; columns that have room for numbers

function drawMaps() {
  const maps = chosenRules().map((rule) => {
    const [x, y] = axes(rule),
      kept = left(rule, x, y),
      rows = steps(y, kept, x),
      columns = steps(x, kept, y);
    return { rule, x, y, kept, rows, columns, found: inCells(kept, x, y, columns, rows) };
  });
  const shade = heat(maps.flatMap(({ found }) => [...found.values()].map((one) => summary(one).mean)));
  if (!maps.some(({ kept }) => kept.length)) return [nothing()];
  return [...maps.map((map) => drawMap(map, shade)), luck(maps.map(({ rule }) => rule))];
}

/** Where the answer has another loss of a rule's best than its map: by how much, and why. */
function luck(rules) {
  if (state.measure !== "val_loss" || state.last) return null;
  const told = rules.flatMap((rule) =>
    rule.of
      .filter((one) => one.told != null && show(one.told) !== show(summary(one).mean))
      .map(
        (one) => `${rules.length > 1 ? `${one.title} ` : ""}${show(one.told)} instead of ${show(summary(one).mean)}`,
      ),
  );
  return told.length
    ? make(
        "p",
        { class: "note" },
        `Means over the seeds as they are. The answer above judges each best configuration by seeds that did not choose it: ${told.join(", ")}.`,
      )
    : null;
}

const nothing = () => make("p", { class: "none" }, "No run is left by the filter.");

/**
 * The rows or columns of a map: the values of a parameter among some configurations, each for itself, or neighbours
 * together where there are more than a map has room for, or, as drawn ones have, hardly two of the same.
 */
function steps(p, ones, other, most = MOST) {
  if (p == null) return [[-1]];
  const values = distinct(p, ones),
    cells = values.length * (other == null ? 1 : distinct(other, ones).length);
  const room = cells <= 2 * ones.length ? most : Math.max(FEWEST, Math.ceil(Math.sqrt(ones.length)));
  const size = Math.ceil(values.length / Math.min(room, most));
  return d3.range(0, values.length, size).map((at) => values.slice(at, at + size));
}

/** A step in words. */
function rangeOf(p, values) {
  const [first, last] = [values[0], values.at(-1)].map((value) => study.parameters[p].texts[value] ?? "none");
  return first === last ? first : `${first} to ${last}`;
}

const distinct = (p, ones) => [...new Set(ones.map((one) => one.values[p]))].sort(d3.ascending);

/** The best configuration of each cell, by "column/row". */
function inCells(ones, x, y, columns, rows) {
  const placesOf = (lines) => new Map(lines.flatMap((values, at) => values.map((value) => [value, at])));
  const [column, row] = [placesOf(columns), placesOf(rows)],
    found = new Map();
  for (const one of ones) {
    const key = `${x == null ? 0 : column.get(one.values[x])}/${y == null ? 0 : row.get(one.values[y])}`;
    const before = found.get(key);
    if (!before || isBetter(one, before)) found.set(key, one);
  }
  return found;
}

function drawMap({ rule, x, y, kept, rows, columns, found }, shade) {
  const star = bestOf(kept),
    numbered = columns.length <= NUMBERED,
    title = (p) => study.parameters[p]?.title;
  const drawn = new Set(found.values()),
    grouped = [...rows, ...columns].some((values) => values.length > 1);
  const header = (p, values, scope) => {
    if (p == null) return make("td");
    const told = rangeOf(p, values);
    const choose = () =>
      toggle(
        kept.filter((one) => values.includes(one.values[p]) && drawn.has(one)),
        true,
      );
    return make(
      "th",
      { scope },
      make(
        "button",
        { type: "button", class: "line", title: `Show the curves of ${title(p)} ${told}`, onclick: choose },
        told,
      ),
    );
  };
  const cellAt = (column, row) => {
    const one = found.get(`${column}/${row}`);
    return make(
      "td",
      {},
      one ? cell(one, shade, one === star, numbered) : make("span", { class: "hidden" }, "not run"),
    );
  };
  const corner = make(
    "td",
    { class: "corner" },
    ...[
      [y, "\u2193"],
      [x, "\u2192"],
    ].map(([p, arrow]) => (p == null ? "" : make("span", {}, `${arrow}\u00a0${title(p)}`))),
  );
  const words = [x, y].flatMap((p) =>
    p == null ? [] : `${title(p)}`.split(" ").map((word, at) => word.length + (at ? 0 : 2)),
  );
  corner.style.width = `${Math.min(d3.max(words) ?? 0, 14) * 0.46 + 0.4}rem`; // that no word of a title is broken
  const kinds = [
    "map",
    columns.length > 7 && "many",
    grouped && "grouped",
    !numbered && "unnumbered",
    columns.length > 20 && "wide",
    rows.length < 7 && "few",
  ];
  const table = make(
    "table",
    { class: kinds.filter(Boolean).join(" "), onkeydown: arrows },
    make("caption", {}, make("div", {}, make("b", {}, rule.title), mapCaption(rule, x, y, grouped))),
    make("thead", {}, make("tr", {}, corner, ...columns.map((values) => header(x, values, "col")))),
    make(
      "tbody",
      {},
      ...rows.map((values, row) =>
        make("tr", {}, header(y, values, "row"), ...columns.map((_, column) => cellAt(column, row))),
      ),
    ),
  );
  if (!numbered) table.style.minWidth = `${(grouped ? 8 : 5) + 1.6 * columns.length}rem`; // cells of 24 pixels, which fingers want
  return make(
    "div",
    { class: "scroll bare", tabindex: 0, role: "region", "aria-label": `Map of ${rule.title}` },
    table,
  );
}

/** What the numbers are, and of what they are the best. */
function mapCaption(rule, x, y, grouped) {
  const measure = study.measure(state.measure),
    sliced = pairs(state.slices);
  const rest = rule.varied.filter((p) => p !== x && p !== y && !sliced.has(study.parameters[p].name));
  const over = [...rest.map((p) => study.parameters[p].title), ...(grouped ? ["neighbouring values"] : [])];
  const when = state.last ? " in the last epoch" : measure.loss ? ", lowest" : " where the validation loss is lowest";
  const best = measure.more == null ? "of the lowest validation loss" : "the best";
  return ` ${measure.title}${when}, mean over seeds${over.length ? `, ${best} over ${over.join(" and ")}` : ""}`;
}

function cell(one, shade, star, numbered) {
  const told = summary(one),
    measure = study.measure(state.measure),
    said = remark(one, told),
    known = Number.isFinite(told.mean);
  const range = said || (told.seeds > 1 ? `${short(told.low, measure)}\u2013${short(told.high, measure)}` : "");
  const number = known ? short(told.mean, measure) : "\u2715",
    words = `${one.name}: ${number} ${range}${star ? ", the best" : ""}`;
  const mark = star ? make("span", { "aria-hidden": "true" }, numbered ? " \u2605" : "\u2605") : null;
  const button = make(
    "button",
    { class: known ? "cell" : "cell lost", ...pins(one), "aria-label": words, title: words },
    ...(numbered ? [make("b", {}, number, mark), " ", make("small", {}, range)] : [known ? mark : "\u2715"]),
  );
  if (known) {
    const back = shade(told.mean);
    button.style.backgroundColor = back.formatHex();
    button.style.color = inkOn(back);
  }
  return button;
}

/** Arrow keys go from cell to cell. */
function arrows(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const from = event.target.closest("td, th");
  if (!step || !from) return;
  const rows = [...event.currentTarget.rows],
    row = rows.indexOf(from.parentElement);
  const next = rows[row + step[0]]?.cells[from.cellIndex + step[1]]?.querySelector("button");
  if (next) {
    event.preventDefault();
    next.focus();
  }
}
