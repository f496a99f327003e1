// What answers to whom looks through the page. The study's data stand in #study (jaxopt_study/report/data.py says how),
// what is chosen stands in the address, and every picture is drawn from these two with d3 and Observable Plot.
/* global d3, Plot */

// ---- The data

const byId = (id) => document.getElementById(id);

/** The numbers of a packed text: gzip, and the first bytes of all numbers before the second. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const bytes = new Uint8Array(planes.length), count = planes.length / 4;
  for (let plane = 0; plane < 4; plane++) {
    for (let at = 0; at < count; at++) bytes[4 * at + plane] = planes[plane * count + at];
  }
  return new Float32Array(bytes.buffer);
}

let study; // the data, with what follows from them

async function load(text) {
  const data = JSON.parse(text), numbers = await unpack(data.numbers);
  const runs = data.runs.of.length, measures = data.measures.length, epochs = data.epochs.length;
  const index = new Map(data.measures.map((measure, at) => [measure.name, at]));
  data.measure = (name) => data.measures[index.get(name)];
  data.score = (name, run, last) => numbers[((last ? measures : 0) + index.get(name)) * runs + run];
  data.curve = (name, run) => {
    const start = 2 * measures * runs + (index.get(name) * runs + run) * epochs;
    return numbers.subarray(start, start + epochs);
  };
  data.rules = d3.groups(data.configurations, (one) => one.rule).map(([name, of]) => {
    const varied = data.parameters.map((_, at) => at).filter((at) => new Set(of.map((one) => one.values[at])).size > 1);
    return { name, title: of[0].title, of, varied };
  });
  const varied = new Map(data.rules.map((rule) => [rule.name, rule.varied]));
  data.configurations.forEach((one, at) => {
    Object.assign(one, { at, runs: [] });
    const told = varied.get(one.rule).map((p) => `${data.parameters[p].title} ${data.parameters[p].texts[one.values[p]] ?? "–"}`);
    one.numbers = told.join(", ");
    one.name = [one.title, one.numbers].filter(Boolean).join(", ");
    one.id = [one.rule, ...one.values.map((value, p) => data.parameters[p].texts[value] ?? "")].join(":");
  });
  data.runs.of.forEach((of, run) => data.configurations[of].runs.push(run));
  data.byId = new Map(data.configurations.map((one) => [one.id, one]));
  data.texts = data.runs.of.map((of, run) => {
    const one = data.configurations[of];
    const numbers = data.parameters.map((p, at) => (one.values[at] < 0 ? "" : `${p.title} ${p.name} ${p.texts[one.values[at]]}`));
    return [one.title, one.rule, ...numbers, `seed ${data.runs.seed[run]}`, data.runs.status[run]].join(" ").toLowerCase();
  });
  data.titled = data.configurations.map((one) => one.name);
  return data;
}

// ---- The state, which the address keeps

const USUAL = {
  measure: "val_loss", last: "", view: "map", rules: "", x: "", y: "", slices: "", log: "1", cut: "1", seeds: "",
  find: "", ranges: "", pins: "", a: "", b: "", sort: "", run: "",
};
let state, hovered = null, read = null; // a configuration under the pointer; an epoch that is read off

function fromAddress() {
  const given = new URLSearchParams(location.hash.startsWith("#view?") ? location.hash.slice(6) : "");
  state = Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, given.get(name) ?? usual]));
  if (!study.measures.some((measure) => measure.name === state.measure)) state.measure = study.measures[0]?.name;
  return given.size > 0;
}

function change(what) {
  Object.assign(state, what);
  const told = Object.entries(state).filter(([name, value]) => value !== USUAL[name]);
  history.replaceState(null, "", told.length ? `#view?${new URLSearchParams(told)}` : location.pathname + location.search);
}

const listed = (text) => (text ? text.split("|") : []);
const pinned = () => listed(state.pins).map((id) => study.byId.get(id)).filter(Boolean);
const chosenRules = () => {
  const names = new Set(listed(state.rules)), chosen = study.rules.filter((rule) => names.has(rule.name));
  return chosen.length ? chosen : study.rules.slice(0, 1);
};
const pairs = (text) => new Map(listed(text).map((part) => part.split("~")).map(([name, ...rest]) => [name, rest]));
const joined = (map) => [...map].map(([name, rest]) => [name, ...rest].join("~")).join("|");

// ---- Words and numbers

function show(value, measure = study.measure(state.measure)) {
  if (value == null || Number.isNaN(value)) return "–";
  if (measure?.more) return `${(100 * value).toFixed(1)}%`;
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "-infinite";
  if (size !== 0 && (size >= 10000 || size < 0.001)) return value.toExponential(2).replace("e+", "e");
  return measure?.loss && size < 10 ? value.toFixed(4) : value.toPrecision(4);
}

/** For cells: three digits. */
function short(value, measure) {
  if (measure.more) return show(value, measure);
  const size = Math.abs(value);
  return size >= 1000 || (size && size < 0.001) ? value.toExponential(1).replace("e+", "e") : value.toPrecision(3);
}

/** For axes: as short as it gets. */
const tick = (value, measure) => (measure.more ? `${+(100 * value).toFixed(1)}%` : String(Number(short(value, measure))));

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

function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((cell) => make("td", {}, cell ?? ""))));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    make("table", { class: "dense" }, make("caption", { class: "hidden" }, caption), make("thead", {}, head), make("tbody", {}, ...body)));
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

// ---- Which runs, and what is said of a configuration

const TERM = /^([\w.]+)(<=|>=|=|<|>)(.+)$/;
const COMPARED = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };

/** A word of the filter as a question to a run: `learning_rate<=0.01`, `val_loss<0.1`, or a part of its text. */
function question(word) {
  const [, name, sign, text] = TERM.exec(word) ?? [];
  const place = study.parameters.findIndex((one) => one.name === name);
  const measure = study.measures.find((one) => one.name === name);
  const ofRun = study.runs[name], number = Number(text);
  const holds = (value) => COMPARED[sign](value, number) || (sign.includes("=") && Math.abs(value - number) <= 1e-3 * Math.abs(number));
  if (place >= 0) return (run) => study.values[place][study.configurations[study.runs.of[run]].values[place]] !== undefined && holds(study.values[place][study.configurations[study.runs.of[run]].values[place]]);
  if (measure) return (run) => holds(study.score(name, run));
  if (ofRun && name !== "file") return (run) => (Number.isNaN(number) ? String(ofRun[run]) === text : holds(ofRun[run]));
  return (run) => study.texts[run].includes(word.toLowerCase());
}

let visible = new Set(); // runs that the filter leaves

function filter() {
  const questions = state.find.split(/\s+/).filter(Boolean).map(question);
  for (const [name, [low, high]] of pairs(state.ranges)) {
    const at = study.parameters.findIndex((one) => one.name === name);
    const value = (run) => study.configurations[study.runs.of[run]].values[at];
    questions.push((run) => value(run) < 0 || (value(run) >= (low === "" ? 0 : +low) && value(run) <= (high === "" ? Infinity : +high)));
  }
  visible = new Set(d3.range(study.runs.of.length).filter((run) => questions.every((holds) => holds(run))));
}

/** A measure of a configuration: the mean over the seeds that have it, the lowest and the highest. */
function summary(one, name = state.measure, last = state.last) {
  const values = one.runs.map((run) => study.score(name, run, last)).filter(Number.isFinite);
  const diverged = one.runs.filter((run) => study.runs.status[run] === "diverged");
  const mean = d3.mean(values);
  return { mean: mean ?? NaN, low: d3.min(values), high: d3.max(values), seeds: values.length, diverged };
}

/** What a configuration has besides its number, in words: divergence with its epoch, or no better than guessing. */
function remark(one, told = summary(one)) {
  if (told.diverged.length) {
    const epochs = [...new Set(told.diverged.map((run) => study.runs.diverged[run]))].sort((a, b) => a - b);
    const share = told.diverged.length < one.runs.length ? `${told.diverged.length} of ${one.runs.length} ` : "";
    return `${share}diverged, epoch ${epochs.join(", ")}`;
  }
  const statuses = one.runs.map((run) => study.runs.status[run]);
  for (const status of ["running", "failed", "worse than guessing", "halved"]) {
    const count = statuses.filter((each) => each === status).length;
    if (count) return count < statuses.length ? `${count} of ${statuses.length} ${status}` : status;
  }
  return "";
}

/** Whether a is a better mean than b. */
const better = (a, b, measure) => (Number.isNaN(b) ? !Number.isNaN(a) : measure.more ? a > b : a < b);

/** The best configuration for the measure among some; by the study's own ranking where that is of this measure. */
function bestOf(some) {
  const measure = study.measure(state.measure), usable = some.filter((one) => one.usable);
  if (state.measure === "val_loss" && !state.last) return d3.least(usable, (one) => one.rank);
  return usable.reduce((best, one) => (!best || better(summary(one).mean, summary(best).mean, measure) ? one : best), undefined);
}

/** Configurations of a rule that the filter and the slices leave, by their places on the axes; the best of each place. */
function places(rule, x, y) {
  const slices = pairs(state.slices), measure = study.measure(state.measure);
  const kept = rule.of.filter((one) => one.runs.some((run) => visible.has(run)) && rule.varied.every((p) => {
    const slice = slices.get(study.parameters[p].name);
    return p === x || p === y || !slice || one.values[p] === +slice[0];
  }));
  const found = new Map();
  for (const one of kept) {
    const key = `${x == null ? 0 : one.values[x]}/${y == null ? 0 : one.values[y]}`, before = found.get(key);
    if (!before || better(summary(one).mean, summary(before).mean, measure)) found.set(key, one);
  }
  return { kept, found };
}

/** The parameters on the axes of a rule: as chosen, else its first two; null where it has none. */
function axes(rule) {
  const at = (name) => rule.varied.find((p) => study.parameters[p].name === name);
  const x = at(state.x) ?? rule.varied.find((p) => study.parameters[p].name !== state.y) ?? null;
  const y = state.y === "-" ? null : at(state.y) ?? rule.varied.find((p) => p !== x) ?? null;
  return [x, y];
}

// ---- Colours

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = 8, DASHES = [null, "7,3", "2,3", "9,3,2,3", "4,2", "1,2", "12,3", "6,2,1,2"];
const colour = (one) => { const at = pinned().indexOf(one); return at < 0 ? "var(--muted)" : `var(--c${at % COLOURS})`; };
const dash = (one) => DASHES[Math.max(pinned().indexOf(one), 0) % DASHES.length];

/** A scale from the worst to the best of some numbers, no loss above guessing told apart. */
function heat(values) {
  const measure = study.measure(state.measure), finite = values.filter(Number.isFinite);
  let [low, high] = d3.extent(finite);
  if (measure.loss && study.chance != null && low < study.chance) high = Math.min(high, study.chance);
  const ramp = d3.interpolateRgbBasis(css("--heat").split(" "));
  const log = state.log && low > 0;
  const scale = (log ? d3.scaleLog() : d3.scaleLinear()).domain(low === high ? [low, low + 1] : [low, high]).range(measure.more ? [0, 1] : [1, 0]).clamp(true);
  return (value) => d3.color(ramp(scale(value)));
}

const light = (shade) => d3.sum([shade.r, shade.g, shade.b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)), (v, i) => v * [0.2126, 0.7152, 0.0722][i]);
const inkOn = (shade) => (light(shade) > 0.179 ? "#101418" : "#ffffff");

// ---- The overview: a map, lines, or parallel coordinates

function drawOverview() {
  const place = byId("overview");
  const draw = { map: drawMaps, line: drawLines, parallel: drawParallel }[state.view] ?? drawMaps;
  place.replaceChildren(...draw());
  markPins();
}

function toggle(ones, only) {
  const before = only ? [] : listed(state.pins);
  const ids = ones.map((one) => one.id);
  const pins = ids.every((id) => before.includes(id)) ? before.filter((id) => !ids.includes(id)) : [...new Set([...before, ...ids])];
  change({ pins: pins.join("|") });
  markPins();
  drawCurves();
  drawCompare();
}

/** Shows on every button of a configuration whether it is pinned. */
function markPins() {
  for (const button of document.querySelectorAll("[data-of]")) {
    const one = study.configurations[button.dataset.of], on = pinned().includes(one);
    button.setAttribute("aria-pressed", on);
    button.style.outlineColor = on ? colour(one) : "";
  }
}

function hover(one) {
  if (hovered === one) return;
  hovered = one;
  drawCurves();
}

const listens = (one) => ({
  "data-of": one.at, "aria-pressed": "false", type: "button", onclick: () => toggle([one]), onmouseenter: () => hover(one),
  onmouseleave: () => hover(null), onfocus: () => hover(one), onblur: () => hover(null),
});

function drawMaps() {
  const rules = chosenRules(), all = rules.map((rule) => [rule, ...axes(rule)]).map(([rule, x, y]) => ({ rule, x, y, ...places(rule, x, y) }));
  const shade = heat(all.flatMap((one) => [...one.found.values()].map((each) => summary(each).mean)));
  const drawn = all.map((one) => drawMap(one, shade));
  return all.some((one) => one.kept.length) ? drawn : [nothing()];
}

const nothing = () => make("p", { class: "none" }, "No run is left by the filter.");

function drawMap({ rule, x, y, kept, found }, shade) {
  const values = (p) => (p == null ? [0] : [...new Set(kept.map((one) => one.values[p]))].sort((a, b) => a - b));
  const text = (p, value) => (p == null ? "" : study.parameters[p].texts[value] ?? "none"), title = (p) => study.parameters[p]?.title;
  const star = bestOf(kept);
  const line = (p, value) => kept.filter((one) => one.values[p] === value && [...found.values()].includes(one));
  const header = (p, value, scope) => p == null ? make("td") : make("th", { scope }, make("button", {
    type: "button", class: "line", title: `Show the curves of ${title(p)} ${text(p, value)}`, onclick: () => toggle(line(p, value), true),
  }, text(p, value)));
  const corner = make("td", { class: "corner" }, y == null ? "" : make("span", {}, `${title(y)}\u00a0\u2193`), x == null ? "" : make("span", {}, `${title(x)}\u00a0\u2192`));
  const rows = values(y).map((yv) => make("tr", {}, header(y, yv, "row"), ...values(x).map((xv) => {
    const one = found.get(`${x == null ? 0 : xv}/${y == null ? 0 : yv}`);
    return make("td", {}, one ? cell(one, shade, one === star) : make("span", { class: "hidden" }, "not run"));
  })));
  const rest = rule.varied.filter((p) => p !== x && p !== y && !pairs(state.slices).has(study.parameters[p].name));
  const over = rest.length ? `, the best over ${rest.map(title).join(" and ")}` : "";
  const measure = study.measure(state.measure);
  const caption = make("caption", {}, make("b", {}, rule.title), ` ${measure.title}${state.last ? " in the last epoch" : measure.loss ? ", lowest" : " where the validation loss is lowest"}, mean over seeds${over}`);
  const wide = `map${values(x).length > 7 ? " many" : ""}${values(y).length < 7 ? " few" : ""}`;
  return make("div", { class: "scroll bare", tabindex: 0, role: "region", "aria-label": `Map of ${rule.title}` },
    make("table", { class: wide, onkeydown: arrows }, caption, make("thead", {}, make("tr", {}, corner, ...values(x).map((xv) => header(x, xv, "col")))), make("tbody", {}, ...rows)));
}

function cell(one, shade, star) {
  const told = summary(one), measure = study.measure(state.measure), said = remark(one, told);
  const known = Number.isFinite(told.mean);
  const range = said || (told.seeds > 1 ? `${short(told.low, measure)}–${short(told.high, measure)}` : "");
  const number = known ? short(told.mean, measure) : "\u2715", words = `${one.name}: ${number} ${range}${star ? ", the best" : ""}`;
  const button = make("button", { class: known ? "cell" : "cell lost", ...listens(one), "aria-label": words, title: words },
    make("b", {}, number, star ? make("span", { "aria-hidden": "true" }, " \u2605") : null), make("small", {}, range));
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
  const rows = [...event.currentTarget.rows], row = rows.indexOf(from.parentElement);
  const next = rows[row + step[0]]?.cells[from.cellIndex + step[1]]?.querySelector("button");
  if (next) { event.preventDefault(); next.focus(); }
}

const widthOf = (place) => Math.max(280, Math.min(place.clientWidth || 640, 1200));

/** A picture; for a screen reader one thing with a name, beside which a table has the values. */
function plot(options) {
  const picture = Plot.plot({ className: "plot", style: { fontSize: "12px", fontFamily: "inherit", background: "none", overflow: "visible" }, ...options });
  picture.setAttribute("role", "img");
  for (const part of picture.querySelectorAll("[aria-label], [aria-description]")) {
    part.dataset.mark = part.getAttribute("aria-label");
    for (const name of ["aria-label", "aria-description"]) part.removeAttribute(name);
  }
  return picture;
}

function scaleOf(values, label) {
  const measure = study.measure(state.measure), finite = values.filter(Number.isFinite);
  const log = state.log && !measure.more && d3.min(finite) > 0;
  const sorted = finite.sort(d3.ascending), lowest = sorted[0];
  let highest = sorted.at(-1);
  if (state.cut && !measure.more) {
    const usual = d3.quantileSorted(sorted, 0.95) * 1.1, guess = measure.loss && study.chance != null ? study.chance * 1.3 : 0;
    highest = Math.min(highest, Math.max(usual, guess));
  }
  const domain = lowest === highest ? [lowest * 0.9, highest * 1.1 + 1e-9] : [lowest, highest];
  const hidden = sorted.filter((value) => value > highest).length;
  const steps = log && domain[1] / domain[0] < 8 ? [1, 1.5, 2, 3, 4, 5, 7] : [1, 2, 5];
  const ticks = log && domain[1] / domain[0] < 300 ? d3.range(-9, 6).flatMap((power) => steps.map((step) => step * 10 ** power)).filter((v) => v >= domain[0] && v <= domain[1]) : undefined;
  return { hidden, scale: { type: log ? "log" : "linear", domain, nice: !log, grid: true, label, ticks, tickFormat: (v) => tick(v, measure) } };
}

const cutNote = (hidden) => (hidden ? make("p", { class: "note" }, `${counted(hidden, "value")} above the picture; untick “cut outliers” to see them.`) : null);

/** The measure over one hyperparameter, a line for each rule and value of the second. */
function drawLines() {
  const drawn = [];
  for (const [x, members] of d3.group(chosenRules(), (rule) => axes(rule)[0])) {
    if (x == null) continue;
    const points = members.flatMap((rule) => {
      const y = axes(rule)[1], by = (one) => (y == null ? rule.title : `${rule.title}, ${study.parameters[y].title} ${study.parameters[y].texts[one.values[y]] ?? "none"}`);
      return [...places(rule, x, y).found.values()].map((one) => ({ one, x: study.values[x][one.values[x]], line: by(one), ...summary(one) }));
    }).sort((a, b) => d3.ascending(a.x, b.x));
    if (!points.length) continue;
    drawn.push(...linePicture(x, points));
  }
  return drawn.length ? drawn : [nothing()];
}

function linePicture(x, points) {
  const parameter = study.parameters[x], measure = study.measure(state.measure), lines = [...new Set(points.map((point) => point.line))];
  const { scale, hidden } = scaleOf(points.flatMap((point) => [point.low, point.high, point.mean]), `\u2191 ${measure.title}`);
  const shade = (point) => `var(--c${lines.indexOf(point.line) % COLOURS})`;
  const xs = study.values[x], log = xs[0] > 0 && xs.at(-1) / xs[0] > 20;
  const picture = plot({
    width: widthOf(byId("overview")), height: 360, marginLeft: 60, marginBottom: 42, marginTop: 24, marginRight: 24, ariaLabel: `${measure.title} over ${parameter.title}`,
    x: { type: log ? "log" : "linear", label: `${parameter.title} \u2192`, ticks: xs.length < 9 ? xs : undefined, tickFormat: (value) => parameter.texts[xs.indexOf(value)] ?? String(value) },
    y: scale,
    marks: [
      Plot.areaY(points, { x: "x", y1: "low", y2: "high", z: "line", fill: shade, fillOpacity: 0.14, clip: true }),
      ...lines.map((line, at) => Plot.lineY(points.filter((point) => point.line === line), { x: "x", y: "mean", stroke: shade, strokeWidth: 2, strokeDasharray: DASHES[Math.floor(at / COLOURS) + (at % COLOURS)], clip: true })),
      Plot.dot(points, { x: "x", y: "mean", fill: shade, r: 3.5, clip: true }),
      Plot.text(points.filter((point) => point.diverged.length), { x: "x", text: () => "\u2715", frameAnchor: "top", dy: -14, fill: shade }),
      Plot.dot(points, Plot.pointer({ x: "x", y: "mean", stroke: "currentColor", r: 7, strokeWidth: 2 })),
    ],
  });
  picture.addEventListener("input", () => hover(picture.value?.one ?? null));
  picture.addEventListener("click", () => hovered && toggle([hovered]));
  const legend = make("p", { class: "legend" }, ...lines.map((line, at) => make("span", { class: `key k${at % COLOURS}` }, line)), points.some((point) => point.diverged.length) ? make("span", {}, "\u2715 runs diverged") : null);
  const rows = () => points.map((point) => [make("button", { class: "plain", ...listens(point.one) }, point.one.name), show(point.mean), point.seeds > 1 ? `${show(point.low)} to ${show(point.high)}` : "", remark(point.one)]);
  return [picture, legend, cutNote(hidden), behind(`${measure.title} over ${parameter.title}`, ["configuration", "mean", "seeds", "remark"], rows)].filter(Boolean);
}

/** A line a configuration through all hyperparameters to the measure. */
function drawParallel() {
  const rules = chosenRules(), measure = study.measure(state.measure);
  const ones = rules.flatMap((rule) => places(rule).kept).filter((one) => Number.isFinite(summary(one).mean));
  if (!ones.length) return [nothing()];
  const parameters = [...new Set(rules.flatMap((rule) => rule.varied))], names = [...parameters.map((p) => study.parameters[p].title), measure.title];
  const { scale } = scaleOf(ones.map((one) => summary(one).mean)), log = scale.type === "log";
  const way = (log ? d3.scaleLog() : d3.scaleLinear()).domain(scale.domain).range([0, 1]).clamp(true);
  const used = new Map(parameters.map((p) => [p, [...new Set(ones.map((one) => one.values[p]))].filter((v) => v >= 0).sort((a, b) => a - b)]));
  const spot = (p, value) => (used.get(p).length > 1 ? used.get(p).indexOf(value) / (used.get(p).length - 1) : 0.5);
  const shade = heat(ones.map((one) => summary(one).mean));
  const points = ones.flatMap((one) => [...parameters.filter((p) => one.values[p] >= 0).map((p) => ({ one, at: study.parameters[p].title, y: spot(p, one.values[p]) })), { one, at: measure.title, y: way(summary(one).mean) }]);
  const ticks = [...parameters.flatMap((p) => thin(used.get(p)).map((value) => ({ at: study.parameters[p].title, y: spot(p, value), text: study.parameters[p].texts[value] }))), ...[0, 0.5, 1].map((y) => ({ at: measure.title, y, text: tick(way.invert(y), measure) }))];
  const marked = points.filter(({ one }) => pinned().includes(one));
  const picture = plot({
    width: widthOf(byId("overview")), height: 400, marginLeft: 50, marginRight: 50, marginTop: 30, marginBottom: 12, ariaLabel: `Hyperparameters and ${measure.title}, a line a configuration`,
    x: { type: "point", domain: names, axis: "top", label: null, tickSize: 0 }, y: { axis: null, domain: [-0.03, 1.03] },
    marks: [
      Plot.ruleX(names, { stroke: "var(--line)" }),
      Plot.line(points, { x: "at", y: "y", z: ({ one }) => one.at, stroke: ({ one }) => shade(summary(one).mean).formatHex(), strokeOpacity: ones.length > 300 ? 0.35 : 0.7, strokeWidth: 1.4, curve: "bump-x" }),
      Plot.line(marked, { x: "at", y: "y", z: ({ one }) => one.at, stroke: ({ one }) => colour(one), strokeWidth: 3, curve: "bump-x" }),
      Plot.text(ticks, { x: "at", y: "y", text: "text", dx: 6, textAnchor: "start", stroke: "var(--page)", strokeWidth: 4, fill: "currentColor" }),
      Plot.dot(points, Plot.pointer({ x: "at", y: "y", stroke: "currentColor", r: 6, strokeWidth: 2 })),
    ],
  });
  picture.addEventListener("input", () => hover(picture.value?.one ?? null));
  picture.addEventListener("click", () => { if (hovered) { toggle([hovered]); drawOverview(); } });
  const rows = () => d3.sort(ones, (one) => (measure.more ? -1 : 1) * summary(one).mean).slice(0, 500).map((one) => [make("button", { class: "plain", ...listens(one) }, one.name), show(summary(one).mean), remark(one)]);
  return [picture, make("p", { class: "note" }, `${counted(ones.length, "configuration")}; hover to see its curves, click to pin.`), behind("Configurations, the best first", ["configuration", measure.title, "remark"], rows)];
}

const thin = (values) => (values.length <= 12 ? values : values.filter((_, at) => at % Math.ceil(values.length / 12) === 0));

// ---- The curves

const epochsOf = (one) => one.runs.filter((run) => visible.has(run));

/** Mean, lowest and highest over some runs at each epoch; where a run has ended the others go on. */
function band(runs, name = state.measure) {
  const curves = runs.map((run) => study.curve(name, run));
  return study.epochs.map((epoch, at) => {
    const values = curves.map((curve) => curve[at]).filter(Number.isFinite);
    return { epoch, mean: values.length ? d3.mean(values) : NaN, low: d3.min(values), high: d3.max(values) };
  }).filter((row) => Number.isFinite(row.mean));
}

const shown = () => [...pinned(), ...(hovered && !pinned().includes(hovered) ? [hovered] : [])];

function drawCurves() {
  const place = byId("curves"), ones = shown();
  if (!ones.length) return place.replaceChildren(make("p", { class: "none" }, "Choose cells, a row or a column to see their curves."));
  const bands = ones.map((one) => ({ one, rows: band(epochsOf(one)) }));
  place.replaceChildren(...[...curvePicture(bands, widthOf(place), 340), legend(bands)].filter(Boolean));
}

/** Lines with the range of their seeds; the pointer reads an epoch off, and so does the slider. */
function curvePicture(bands, width, height) {
  const measure = study.measure(state.measure);
  const { scale, hidden } = scaleOf(bands.flatMap(({ rows }) => rows.flatMap((row) => [row.low, row.mean, row.high])), `\u2191 ${measure.title}${measure.unit ? ` (${measure.unit})` : ""}`);
  const guess = measure.loss && study.chance != null && study.chance > scale.domain[0] && study.chance < scale.domain[1] ? [study.chance] : [];
  const lines = bands.flatMap(({ one, rows }) => {
    const style = { stroke: colour(one), strokeWidth: one === hovered ? 3 : 2, strokeDasharray: dash(one) ?? undefined, clip: true };
    const runs = epochsOf(one);
    if (state.seeds) return runs.map((run) => Plot.lineY(band([run]), { x: "epoch", y: "mean", ...style, strokeWidth: 1.4 }));
    return [Plot.areaY(rows, { x: "epoch", y1: "low", y2: "high", fill: colour(one), fillOpacity: 0.14, clip: true }), Plot.lineY(rows, { x: "epoch", y: "mean", ...style })];
  });
  const few = bands.flatMap(({ one, rows }) => (rows.length < 3 ? rows.map((row) => ({ ...row, one })) : []));
  const last = study.epochs.at(-1);
  const picture = plot({
    width, height, marginLeft: 60, marginBottom: 40, marginTop: 26, ariaLabel: `${measure.title} over the epochs of ${bands.map(({ one }) => one.name).join("; ")}`,
    x: { label: "epoch \u2192", domain: [1, Math.max(last, 2)], ticks: Math.min(last, 8), tickFormat: "d" }, y: scale,
    marks: [
      Plot.ruleY(guess, { stroke: "var(--muted)", strokeDasharray: "1,4" }), Plot.text(guess, { text: () => "guessing", frameAnchor: "right", y: (d) => d, dy: -7, fill: "var(--muted)" }),
      ...lines, Plot.dot(few, { x: "epoch", y: "mean", fill: ({ one }) => colour(one) }),
      read == null ? null : Plot.ruleX([read], { stroke: "currentColor", strokeOpacity: 0.5 }),
      Plot.ruleX(study.epochs, Plot.pointerX({ x: (epoch) => epoch, stroke: "currentColor", strokeDasharray: "3,3" })),
    ],
  });
  picture.addEventListener("input", () => readAt(picture.value ?? read));
  picture.addEventListener("click", () => { read = read == null ? picture.value : null; drawCurves(); });
  const rows = () => study.epochs.map((epoch) => [String(epoch), ...bands.map(({ rows: each }) => show(each.find((row) => row.epoch === epoch)?.mean))]);
  return [picture, cutNote(hidden), behind(`${measure.title} at each epoch, means over seeds`, ["epoch", ...bands.map(({ one }) => one.name)], rows)];
}

/** What is shown, with its value at an epoch that is read off, else its best. */
function legend(bands) {
  const alike = new Set(bands.map(({ one }) => one.rule)).size === 1, named = (one) => (alike && one.numbers ? one.numbers : one.name);
  const measure = study.measure(state.measure), last = study.epochs.length - 1;
  const slider = make("input", { type: "range", id: "epoch", min: 0, max: last, value: read == null ? last : study.epochs.indexOf(read), oninput: (event) => { read = study.epochs[event.target.value]; readAt(read); } });
  const rows = bands.map(({ one }) => {
    const key = make("i", { class: "swatch", "aria-hidden": "true" });
    key.style.borderTopColor = colour(one);
    key.style.borderTopStyle = dash(one) ? "dashed" : "solid";
    const seeds = one.runs.map((run) => make("button", { type: "button", class: "plain", onclick: () => openRun(run), "aria-label": `Run of seed ${study.runs.seed[run]}: ${one.name}` }, String(study.runs.seed[run])));
    const remove = pinned().includes(one) ? make("button", { type: "button", class: "plain", onclick: () => toggle([one]), "aria-label": `Remove ${one.name}` }, "\u2715") : null;
    return make("tr", {}, make("th", { scope: "row" }, key, named(one), make("small", {}, remark(one))), make("td", { class: "number", "data-value-of": one.at }), make("td", { class: "seeds" }, ...seeds), make("td", {}, remove));
  });
  const heads = [[alike ? bands[0].one.title : "configuration"], ["", "number", "value-head"], ["runs by seed"], [""]].map(([text, kind, id]) => make(text || id ? "th" : "td", { scope: text || id ? "col" : null, class: kind, id }, text));
  const told = make("div", {}, make("label", { class: "epoch" }, "Read at epoch ", slider, make("output", { id: "epoch-read", for: "epoch" })), make("table", { class: "dense legend-table" }, make("caption", { class: "hidden" }, `What is shown: ${measure.title}`), make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
  queueMicrotask(() => readAt(read));
  return told;
}

/** Writes the values at an epoch into the legend; at none, those of the map. */
function readAt(epoch) {
  const at = study.epochs.indexOf(epoch), measure = study.measure(state.measure);
  for (const cell of document.querySelectorAll("[data-value-of]")) {
    const one = study.configurations[cell.dataset.valueOf];
    const values = at < 0 ? [] : epochsOf(one).map((run) => study.curve(state.measure, run)[at]).filter(Number.isFinite);
    const told = at < 0 ? summary(one) : { mean: d3.mean(values), low: d3.min(values), high: d3.max(values), seeds: values.length };
    cell.replaceChildren(make("b", {}, show(told.mean)), make("small", {}, told.seeds > 1 ? `${short(told.low, measure)}–${short(told.high, measure)}` : ""));
  }
  if (byId("value-head")) byId("value-head").textContent = at < 0 ? (state.last ? "last epoch" : measure.loss ? "lowest" : "at the best epoch") : `epoch ${epoch}`;
  if (byId("epoch-read")) byId("epoch-read").textContent = at < 0 ? "–" : String(epoch);
}

// ---- Two beside each other

function sides() {
  return pinned().flatMap((one) => [{ id: one.id, name: one.name, one, runs: one.runs }, ...one.runs.map((run) => ({ id: `${one.id}#${study.runs.seed[run]}#${study.runs.data_seed?.[run] ?? ""}`, name: `${one.name}, seed ${study.runs.seed[run]}`, one, runs: [run] }))]);
}

/** The mean difference of two, paired by seed, with Student's 95% interval; without one for a single pair. */
function difference(a, b, valueOf) {
  const seed = (run) => `${study.runs.seed[run]}/${study.runs.data_seed?.[run] ?? ""}`;
  const alone = a.runs.length === 1 && b.runs.length === 1, values = [];
  for (const run of a.runs) {
    const other = alone ? b.runs[0] : b.runs.find((each) => seed(each) === seed(run));
    if (other !== undefined) values.push(valueOf(other) - valueOf(run));
  }
  const finite = values.filter(Number.isFinite), mean = d3.mean(finite) ?? NaN;
  const t = study.t[finite.length] ?? (finite.length > 1 ? 1.96 : null);
  const half = t ? (t * d3.deviation(finite)) / Math.sqrt(finite.length) : NaN;
  return { mean, low: mean - half, high: mean + half, pairs: finite.length };
}

const differs = (told, measure) => Number.isNaN(told.mean) ? "no pair of values" : `${told.mean > 0 ? "+" : ""}${measure.more ? `${(100 * told.mean).toFixed(2)} points` : told.mean.toPrecision(3)}${Number.isNaN(told.low) ? "" : ` (${(measure.more ? 100 * told.low : told.low).toPrecision(3)} to ${(measure.more ? 100 * told.high : told.high).toPrecision(3)})`}`;

function drawCompare() {
  const all = sides(), place = byId("compare");
  byId("compare-box").hidden = all.length < 2;
  if (all.length < 2) return;
  const two = pinned(), a = all.find((side) => side.id === state.a) ?? all[0];
  const b = all.find((side) => side.id === state.b) ?? all.find((side) => side.id === (two[1] ?? two[0]).id);
  for (const [id, side] of [["a", a], ["b", b]]) {
    byId(id).replaceChildren(...all.map((each) => make("option", { value: each.id, selected: each.id === side.id }, each.name)));
  }
  const measure = study.measure(state.measure), at = (name) => (run) => study.score(name, run, state.last);
  const gaps = study.epochs.map((epoch, e) => ({ epoch, ...difference(a, b, (run) => study.curve(state.measure, run)[e]) })).filter((row) => Number.isFinite(row.mean));
  const picture = gaps.length ? plot({
    width: widthOf(place), height: 220, marginLeft: 60, marginBottom: 40, marginTop: 26, ariaLabel: `Difference in ${measure.title} over the epochs`,
    x: { label: "epoch \u2192", domain: [1, Math.max(study.epochs.at(-1), 2)], ticks: 8, tickFormat: "d" }, y: { label: `\u2191 ${measure.title}, second minus first`, grid: true, domain: gapDomain(gaps) },
    marks: [Plot.ruleY([0], { stroke: "currentColor" }), Plot.areaY(gaps.filter((row) => Number.isFinite(row.low)), { x: "epoch", y1: "low", y2: "high", fill: "var(--c0)", fillOpacity: 0.18, clip: true }), Plot.lineY(gaps, { x: "epoch", y: "mean", stroke: "var(--c0)", strokeWidth: 2, clip: true })],
  }) : make("p", { class: "none" }, "They share no seed.");
  const value = (side, name) => show(d3.mean(side.runs.map(at(name)).filter(Number.isFinite)), study.measure(name));
  const numbers = study.parameters.map((p, n) => [p.title, ...[a, b].map(({ one }) => p.texts[one.values[n]] ?? "–"), a.one.values[n] === b.one.values[n] ? "the same" : "differs"]);
  const rows = [["rule", a.one.title, b.one.title, a.one.rule === b.one.rule ? "the same" : "differs"], ...numbers.filter(([, first, second]) => first !== "–" || second !== "–"), ...study.measures.map((each) => [each.title, value(a, each.name), value(b, each.name), differs(difference(a, b, at(each.name)), each)])];
  const told = difference(a, b, at(state.measure));
  const sentence = Number.isNaN(told.mean) ? "They have no seed in common whose runs both have a value." : `${measure.title}, ${state.last ? "last epoch" : "at its best"}: second minus first ${differs(told, measure)}${Number.isNaN(told.low) ? "" : `, 95% interval, ${counted(told.pairs, "seed")} in pairs`}.`;
  place.replaceChildren(make("p", { class: "lead" }, sentence), picture, table("The two beside each other", ["what", "first", "second", "second minus first"], rows));
}

/** As far as the means go, and the interval where it is not much wider. */
function gapDomain(gaps) {
  const size = 1.6 * d3.max(gaps, (row) => Math.abs(row.mean)) || 1;
  const ends = gaps.flatMap((row) => [row.mean, Math.max(row.low || 0, -size), Math.min(row.high || 0, size), 0]);
  return d3.extent(ends);
}

// ---- All runs, and one of them

const PAGE = 50;
let rowsShown = PAGE;

function columns() {
  const varied = study.parameters.map((_, at) => at).filter((at) => study.rules.some((rule) => rule.varied.includes(at)));
  const of = (run) => study.configurations[study.runs.of[run]];
  return [
    ["optimizer", (run) => of(run).title], ...varied.map((p) => [study.parameters[p].title, (run) => study.values[p][of(run).values[p]], (run) => study.parameters[p].texts[of(run).values[p]] ?? ""]),
    ["seed", (run) => study.runs.seed[run]], ...(study.runs.data_seed ? [["data seed", (run) => study.runs.data_seed[run]]] : []), ["status", (run) => study.runs.status[run]],
    ...study.measures.filter((one) => one.loss || one.more).map((one) => [one.title, (run) => study.score(one.name, run, state.last), (run) => show(study.score(one.name, run, state.last), one)]),
    ["best epoch", (run) => study.runs.best_epoch[run]], ["epochs", (run) => study.runs.epochs[run]], ["diverged at", (run) => study.runs.diverged[run]],
  ];
}

function drawRuns() {
  const all = columns(), [, place = "", way = ""] = /^(\d+)(-?)$/.exec(state.sort) ?? [];
  let runs = [...visible];
  const missing = (value) => value == null || Number.isNaN(value);
  if (place && all[place]) {
    const of = all[place][1], order = way ? d3.descending : d3.ascending;
    runs.sort((a, b) => missing(of(a)) - missing(of(b)) || order(of(a), of(b)) || a - b);
  }
  const heads = all.map(([title], at) => make("th", { scope: "col", "aria-sort": String(at) === place ? (way ? "descending" : "ascending") : null }, make("button", { type: "button", onclick: () => { change({ sort: state.sort === String(at) ? `${at}-` : String(at) }); drawRuns(); byId("runs-table").rows[0].cells[at].firstChild.focus(); } }, title)));
  const rows = runs.slice(0, rowsShown).map((run) => make("tr", { "data-run": run }, ...all.map(([, value, text], at) => {
    const told = String((text ?? value)(run) ?? "");
    return at === 0 ? make("th", { scope: "row" }, make("button", { type: "button", class: "plain", onclick: () => openRun(run) }, told)) : make("td", { class: typeof value(run) === "number" ? "number" : null }, told);
  })));
  byId("runs-count").textContent = `${runs.length.toLocaleString("en")} of ${counted(study.runs.of.length, "run")}`;
  byId("runs-table").replaceChildren(make("caption", { class: "hidden" }, "Runs"), make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  byId("more").hidden = runs.length <= rowsShown;
}

/** A run's own card: how it ended, its file, how to repeat it, and all of its curves. */
function openRun(run) {
  const one = study.configurations[study.runs.of[run]], card = byId("card"), all = study.runs;
  const given = study.parameters.map((p, at) => [p, at]).filter(([, at]) => one.values[at] >= 0);
  const facts = [["status", all.status[run] + (all.reason?.[run] ? `: ${all.reason[run]}` : "")], ["seed", all.seed[run]], ...(all.data_seed ? [["data seed", all.data_seed[run]]] : []), ["epochs", all.epochs[run]], ["best epoch", all.best_epoch[run] ?? "–"], ["diverged in epoch", all.diverged[run] ?? "–"], ...given.map(([p, at]) => [p.title, p.texts[one.values[at]]]), ...study.measures.map((each) => [each.title, show(study.score(each.name, run), each)])];
  const numbers = given.map(([p, at]) => [p.name, study.values[at][one.values[at]]]);
  const repeat = study.again ? `printf '%s\\n' '[[grid]]' 'optimizer = "${one.rule}"' ${numbers.map(([name, value]) => `'${name} = ${value}'`).join(" ")} > one.toml\n${study.again} --grid=one.toml --seeds=${all.seed[run] + 1} --workdir=workdir/again` : `js.make_grid("${one.rule}", ${numbers.map(([name, value]) => `${name}=${value}`).join(", ")})  # the grid; seeds=${all.seed[run] + 1}`;
  const small = study.measures.map((measure) => {
    const rows = band([run], measure.name);
    if (!rows.length) return null;
    const log = state.log && !measure.more && rows.every((row) => row.mean > 0);
    return make("figure", {}, make("figcaption", {}, measure.title), plot({ width: 260, height: 150, marginLeft: 48, marginBottom: 26, marginTop: 8, ariaLabel: `${measure.title} over the epochs`, x: { label: null, ticks: 4, tickFormat: "d" }, y: { label: null, type: log ? "log" : "linear", ticks: 4, grid: true, tickFormat: (v) => tick(v, measure) }, marks: [Plot.lineY(rows, { x: "epoch", y: "mean", stroke: "var(--c0)", strokeWidth: 1.8 }), rows.length < 3 ? Plot.dot(rows, { x: "epoch", y: "mean", fill: "var(--c0)" }) : null] }));
  });
  const every = () => study.epochs.filter((epoch) => epoch <= all.epochs[run]).map((epoch, at) => [String(epoch), ...study.measures.map((each) => show(study.curve(each.name, run)[at], each))]);
  byId("card-title").textContent = `${one.name}, seed ${all.seed[run]}`;
  byId("card-body").replaceChildren(
    make("dl", { class: "lines" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value))))),
    make("div", { class: "small" }, ...small), behind("All curves", ["epoch", ...study.measures.map((each) => each.title)], every),
    make("h3", {}, "Again"), make("pre", { tabindex: 0 }, repeat), all.file[run] ? make("p", { class: "file" }, "File: ", make("code", {}, `runs/${all.file[run]}.parquet`)) : null);
  change({ run: `${one.id}#${all.seed[run]}#${all.data_seed?.[run] ?? ""}` });
  if (!card.open) card.showModal();
}

// ---- What is chosen with

const options = (id, entries, value) => byId(id).replaceChildren(...entries.map(([name, text]) => make("option", { value: name, selected: name === value }, text)));

function drawControls() {
  const rules = chosenRules(), varied = [...new Set(rules.flatMap((rule) => rule.varied))], titled = varied.map((p) => [study.parameters[p].name, study.parameters[p].title]);
  options("measure", study.measures.map((one) => [one.name, one.title]), state.measure);
  options("last", [["", "at its best"], ["1", "in the last epoch"]], state.last);
  const [x, y] = axes(d3.greatest(rules, (rule) => rule.varied.length)), nameOf = (p) => study.parameters[p]?.name ?? "";
  options("x", titled, nameOf(x));
  options("y", [["-", "none"], ...titled], y == null ? "-" : nameOf(y));
  for (const name of ["log", "cut", "seeds"]) byId(name).checked = Boolean(state[name]);
  if (byId("find").value !== state.find) byId("find").value = state.find;
  for (const button of byId("views").children) button.setAttribute("aria-pressed", button.value === state.view);
  byId("rules").replaceChildren(...study.rules.map((rule) => make("button", {
    type: "button", "aria-pressed": rules.includes(rule), onclick: () => {
      const names = rules.includes(rule) && rules.length > 1 ? rules.filter((one) => one !== rule) : [...rules.filter((one) => one !== rule), rule];
      change({ rules: names.map((one) => one.name).join("|") });
      draw();
      [...byId("rules").children].find((one) => one.textContent === rule.title)?.focus();
    },
  }, rule.title)));
  byId("rules-box").hidden = study.rules.length < 2;
  const slices = pairs(state.slices), ranges = pairs(state.ranges), rest = state.view === "map" || state.view === "line" ? varied.filter((p) => rules.some((rule) => rule.varied.includes(p) && !axes(rule).includes(p))) : [];
  const pick = (p, value, empty, kept) => make("select", { onchange: (event) => { kept(event.target.value); draw(); } }, make("option", { value: "" }, empty), ...study.parameters[p].texts.map((text, at) => make("option", { value: at, selected: String(at) === value }, text)));
  byId("slices").replaceChildren(...rest.map((p) => make("label", {}, study.parameters[p].title, pick(p, slices.get(nameOf(p))?.[0], "the best", (value) => { if (value) slices.set(nameOf(p), [value]); else slices.delete(nameOf(p)); change({ slices: joined(slices) }); }))));
  const open = byId("ranges").contains(document.activeElement) ? document.activeElement.ariaLabel : null;
  byId("ranges").replaceChildren(...varied.map((p) => make("fieldset", {}, make("legend", {}, study.parameters[p].title), ...[0, 1].map((end) => {
    const field = pick(p, ranges.get(nameOf(p))?.[end], end ? "highest" : "lowest", (value) => { const ends = ranges.get(nameOf(p)) ?? ["", ""]; ends[end] = value; ranges.set(nameOf(p), ends); change({ ranges: joined(ranges) }); });
    field.ariaLabel = `${study.parameters[p].title}, ${end ? "at most" : "at least"}`;
    return field;
  }))));
  if (open) [...byId("ranges").querySelectorAll("select")].find((one) => one.ariaLabel === open)?.focus();
}

function draw() {
  filter();
  drawControls();
  drawOverview();
  drawCurves();
  drawCompare();
  drawRuns();
}

function listen() {
  for (const id of ["measure", "last", "x", "y", "a", "b"]) byId(id).addEventListener("change", (event) => { change({ [id]: event.target.value }); draw(); });
  for (const id of ["log", "cut", "seeds"]) byId(id).addEventListener("change", (event) => { change({ [id]: event.target.checked ? "1" : "" }); draw(); });
  for (const button of byId("views").children) button.addEventListener("click", () => { change({ view: button.value }); draw(); });
  let waiting;
  byId("find").addEventListener("input", (event) => { clearTimeout(waiting); waiting = setTimeout(() => { change({ find: event.target.value }); rowsShown = PAGE; draw(); }, 120); });
  byId("unpin").addEventListener("click", () => { change({ pins: "" }); draw(); });
  byId("more").addEventListener("click", () => { rowsShown += 4 * PAGE; drawRuns(); });
  byId("card").addEventListener("close", () => change({ run: "" }));
  byId("close").addEventListener("click", () => byId("card").close());
  byId("copy").addEventListener("click", async (event) => {
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    byId("copied").textContent = copied ? "copied" : location.href;
    event.target.focus();
  });
  window.addEventListener("hashchange", () => { if (location.hash.startsWith("#view?")) { fromAddress(); draw(); } else openTarget(); });
  window.addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("#claims details, #figures details")) each.open = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth;
  window.addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; clearTimeout(waiting); waiting = setTimeout(draw, 150); } });
}

/** A link to what lies in something closed opens it. */
function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  target?.scrollIntoView();
}

// ---- While the study trains: the same page again, without a new start

async function follow() {
  const address = new URL("update", location.href);
  address.search = location.search;
  let version = "";
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 2000));
    try {
      address.searchParams.set("have", version);
      const answer = await fetch(address);
      if (answer.status === 200) {
        const news = await answer.json();
        version = news.version;
        const page = new DOMParser().parseFromString(news.page, "text/html");
        for (const id of ["answer", "claims", "progress"]) if (byId(id) && page.getElementById(id)) byId(id).replaceChildren(...page.getElementById(id).childNodes);
        study = await load(page.getElementById("study").textContent);
        draw();
      }
      byId("lost").hidden = true;
    } catch {
      byId("lost").hidden = false;
    }
  }
}

async function start() {
  study = await load(byId("study").textContent);
  const given = fromAddress();
  const best = d3.least(study.configurations, (one) => one.rank);
  if (best && !state.rules) state.rules = best.rule;
  if (best && !given) {
    const rule = study.rules.find((one) => one.name === best.rule);
    state.pins = d3.sort(rule.of.filter((one) => one.usable), (one) => one.rank).slice(0, 4).map((one) => one.id).join("|");
  }
  if (study.runs.of.length) {
    byId("explore").hidden = byId("runs").hidden = byId("copy-box").hidden = false;
    listen();
    draw();
    const [id, seed, data] = state.run.split("#"), one = study.byId.get(id);
    const run = one?.runs.find((each) => String(study.runs.seed[each]) === seed && String(study.runs.data_seed?.[each] ?? "") === data);
    if (run !== undefined) openRun(run);
    else if (location.hash && !given) openTarget();
  }
  document.documentElement.dataset.ready = "yes";
  if (document.documentElement.dataset.live) follow();
}

start();
