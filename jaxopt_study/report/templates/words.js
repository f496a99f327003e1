// Numbers, words, and the elements that they stand in.

/** A measured number; a loss as `loss` of jaxopt_study/analysis/numbers.py writes it. */
function show(value, measure = study.measure(state.measure)) {
  if (value == null || Number.isNaN(value)) return "–";
  if (measure?.share) return `${(100 * value).toFixed(1)}%`;
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "-infinite";
  if (size && (size >= 10000 || size < 0.001)) return general(value, 4);
  return measure?.loss ? (size < 10 ? value.toFixed(4) : general(value, 4)) : value.toPrecision(4);
}

/** Powers of ten as Python writes them: 3e+05. */
const power = (text) => text.replace(/e([+-])(\d)$/, "e$10$2");

/** A number in so many digits at most, as Python's `g` and so the texts of the page have it. */
function general(value, digits) {
  const text = value.toExponential(digits - 1),
    exponent = Number(text.split("e")[1]);
  return exponent < -4 || exponent >= digits
    ? power(Number(text.split("e")[0]) + text.slice(text.indexOf("e")))
    : String(Number(text));
}

/** For cells: three digits. */
function short(value, measure) {
  if (measure.share) return show(value, measure);
  const size = Math.abs(value);
  return size >= 1000 || (size && size < 0.001) ? general(value, 2) : value.toPrecision(3);
}

/** A number on an axis. */
function brief(value, digits, measure) {
  if (measure?.share) return `${+(100 * value).toPrecision(digits)}%`;
  const size = Math.abs(value),
    rounded = Number(value.toPrecision(digits));
  return size && (size < 0.001 || size >= 100000) ? power(rounded.toExponential()) : String(rounded);
}

/** Texts of numbers on an axis: of as few digits as tell them apart. */
function briefly(values, measure) {
  const texts = d3.range(2, 9).map((digits) => values.map((value) => brief(value, digits, measure)));
  return texts.find((each) => new Set(each).size === values.length) ?? texts.at(-1);
}

const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** An element with attributes, listeners (on..) and children; texts stay texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/**
 * Puts children into an element in place of others; what had the focus there has it again, or what is in its place, and
 * details with a name (an id) that were open are.
 */
function fill(place, ...children) {
  const within = () => [...place.querySelectorAll("a, button, select, input, summary")],
    name = (one) => (one.matches("summary") && one.parentElement.id) || (one.ariaLabel ?? one.textContent);
  const before = within(),
    at = before.indexOf(document.activeElement),
    had = at < 0 ? "" : name(before[at]),
    open = [...place.querySelectorAll("details[id][open]")].map((one) => one.id);
  place.replaceChildren(...children.filter((child) => child != null));
  for (const one of place.querySelectorAll("details[id]")) if (open.includes(one.id)) one.open = true;
  if (at < 0) return;
  const now = within();
  (now.find((one) => name(one) === had) ?? now[Math.min(at, now.length - 1)])?.focus();
}

function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((cell) => make("td", {}, cell ?? ""))),
  );
  return make(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    make(
      "table",
      { class: "dense" },
      make("caption", { class: "hidden" }, caption),
      make("thead", {}, head),
      make("tbody", {}, ...body),
    ),
  );
}

const opened = new Set(); // captions of tables behind pictures, which stay open when these are drawn again

/** A table behind a picture, made when it is opened. */
function behind(caption, heads, rows) {
  const details = make("details", { class: "behind" }, make("summary", {}, "As a table"));
  details.addEventListener("toggle", () => {
    if (details.open) opened.add(caption);
    else opened.delete(caption);
    if (details.open && details.children.length === 1) details.append(table(caption, heads, rows()));
  });
  details.open = opened.has(caption);
  return details;
}
