// The study's data, what is chosen, and what follows from both: values, words, colours. Nothing here draws.
//
// The page's module is study.js, overview.js, curves.js and page.js, one after the other. The data stand in #study
// (jaxopt_study/report/data.py says how), what is chosen stands in the address, and every picture is drawn from these
// two with d3 and Observable Plot.
/* global d3, Plot */

// ---- The data

const byId = (id) => document.getElementById(id);

/**
 * A packed text as a function of a place and a count that gives so many numbers from there: gzip, and the first bytes
 * of all numbers before the second. They are put together when they are asked for; few curves ever are.
 */
async function unpack(text) {
  const letters = atob(text), packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) packed[at] = letters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer()), all = planes.length / 4;
  return (start, count) => {
    const bytes = new Uint8Array(4 * count);
    for (let at = 0; at < count; at++) {
      for (let plane = 0; plane < 4; plane++) bytes[4 * at + plane] = planes[plane * all + start + at];
    }
    return new Float32Array(bytes.buffer);
  };
}

let study; // the data, with what follows from them

async function load(text) {
  const data = JSON.parse(text), numbers = await unpack(data.numbers);
  const runs = data.runs.of.length, measures = data.measures.length, epochs = data.epochs.length;
  const index = new Map(data.measures.map((measure, at) => [measure.name, at])), scores = numbers(0, 2 * measures * runs);
  data.measure = (name) => data.measures[index.get(name)];
  data.score = (name, run, last) => scores[((last ? measures : 0) + index.get(name)) * runs + run];
  data.curve = (name, run) => numbers(scores.length + (index.get(name) * runs + run) * epochs, epochs);
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
  for (const one of data.configurations) one.runs.sort((a, b) => data.runs.seed[a] - data.runs.seed[b]);
  data.byId = new Map(data.configurations.map((one) => [one.id, one]));
  data.texts = data.runs.of.map((of, run) => {
    const one = data.configurations[of];
    const numbers = data.parameters.map((p, at) => (one.values[at] < 0 ? "" : `${p.title} ${p.name} ${p.texts[one.values[at]]}`));
    return [one.title, one.rule, ...numbers, `seed ${data.runs.seed[run]}`, data.runs.status[run]].join(" ").toLowerCase();
  });
  return data;
}

// ---- The state, which the address keeps

const USUAL = {
  measure: "val_loss", last: "", view: "map", rules: "", x: "", y: "", slices: "", log: "1", cut: "1", seeds: "",
  find: "", ranges: "", pins: "", epoch: "", a: "", b: "", sort: "", run: "",
};
let state, hovered = null; // a configuration under the pointer

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

// Lists in the address, and lists in these; what holds them together is escaped within names.
const escaped = (text) => String(text ?? "").replace(/[%|~]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
const unescaped = (text) => text.replace(/%(25|7c|7e)/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
const listed = (text) => (text ? text.split("|").map(unescaped) : []);
const listing = (names) => names.map(escaped).join("|");
const pinned = () => listed(state.pins).map((id) => study.byId.get(id)).filter(Boolean);
const chosenRules = () => {
  const names = new Set(listed(state.rules)), chosen = study.rules.filter((rule) => names.has(rule.name));
  return chosen.length ? chosen : study.rules.slice(0, 1);
};
const pairs = (text) => new Map((text ? text.split("|") : []).map((part) => part.split("~").map(unescaped)).map(([name, ...rest]) => [name, rest]));
const joined = (map) => [...map].map(([name, rest]) => [name, ...rest].map(escaped).join("~")).join("|");
/** A run, or all of a configuration. */
const idOf = (one, run) => [one.id, ...(run === undefined ? [] : [study.runs.seed[run], study.runs.data_seed?.[run]])].map(escaped).join("~");

// ---- Words and numbers

function show(value, measure = study.measure(state.measure)) {
  if (value == null || Number.isNaN(value)) return "–";
  if (measure?.share) return `${(100 * value).toFixed(1)}%`;
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "-infinite";
  if (size !== 0 && (size >= 10000 || size < 0.001)) return value.toExponential(2).replace("e+", "e");
  return measure?.loss && size < 10 ? value.toFixed(4) : value.toPrecision(4);
}

/** For cells: three digits. */
function short(value, measure) {
  if (measure.share) return show(value, measure);
  const size = Math.abs(value);
  return size >= 1000 || (size && size < 0.001) ? value.toExponential(1).replace("e+", "e") : value.toPrecision(3);
}

/** A number on an axis. */
function brief(value, digits, measure) {
  if (measure?.share) return `${+(100 * value).toPrecision(digits)}%`;
  const size = Math.abs(value), rounded = Number(value.toPrecision(digits));
  return size && (size < 0.001 || size >= 100000) ? rounded.toExponential().replace("e+", "e") : String(rounded);
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

/** Puts children into an element in place of others; what had the focus there has it again, or what is in its place. */
function fill(place, ...children) {
  const within = () => [...place.querySelectorAll("button, select, input, summary")], name = (one) => one.ariaLabel ?? one.textContent;
  const before = within(), at = before.indexOf(document.activeElement), had = at < 0 ? "" : name(before[at]);
  place.replaceChildren(...children.filter((child) => child != null));
  if (at < 0) return;
  const now = within();
  (now.find((one) => name(one) === had) ?? now[Math.min(at, now.length - 1)])?.focus();
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
  const questions = state.find.replace(/\s*([<>]=?|=)\s*/g, "$1").split(/\s+/).filter(Boolean).map(question);
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

/** Configurations of a rule that the filter leaves, and the slices of what is on no axis. */
function left(rule, x, y) {
  const slices = pairs(state.slices);
  return rule.of.filter((one) => one.runs.some((run) => visible.has(run)) && rule.varied.every((p) => {
    const slice = slices.get(study.parameters[p].name);
    return p === x || p === y || !slice || one.values[p] === +slice[0];
  }));
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

/** Shades from the worst to the best of some numbers, no loss above guessing told apart. */
function heat(values) {
  const measure = study.measure(state.measure);
  let [low, high] = d3.extent(values.filter(Number.isFinite));
  if (measure.loss && study.chance != null && low < study.chance) high = Math.min(high, study.chance);
  if (low === high) high = low + 1;
  const scale = state.log && low > 0 ? d3.scaleSequentialLog : d3.scaleSequential;
  const shades = scale(measure.more ? [low, high] : [high, low], d3.interpolateRgbBasis(css("--heat").split(" "))).clamp(true);
  return (value) => d3.color(shades(value));
}

/** The light of a shade, from 0 to 1, as WCAG has it. */
const light = ({ r, g, b }) => {
  const [red, green, blue] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

/** What can be read on a shade: black and white both have a contrast of 4.6 where it has 18% of white's light. */
const inkOn = (shade) => (light(shade) > 0.179 ? "#000000" : "#ffffff");
