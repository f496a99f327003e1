// What is chosen, which the address keeps.

const USUAL = {
  measure: "val_loss",
  last: "",
  view: "map",
  rules: "",
  x: "",
  y: "",
  slices: "",
  log: "1",
  cut: "1",
  seeds: "",
  over: "",
  find: "",
  ranges: "",
  pins: "",
  epoch: "",
  a: "",
  b: "",
  sort: "",
  run: "",
};
let state,
  hovered = null; // a configuration under the pointer

function fromAddress() {
  const given = new URLSearchParams(location.hash.startsWith("#view?") ? location.hash.slice(6) : "");
  state = Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, given.get(name) ?? usual]));
  checkMeasure();
  return given.size > 0;
}

/** The measure is one that the data have, if they have any: of a study that trains there may be none at first. */
function checkMeasure() {
  if (!study.measure(state.measure)) state.measure = study.measures[0]?.name ?? USUAL.measure;
}

function change(what) {
  Object.assign(state, what);
  const told = Object.entries(state).filter(([name, value]) => value !== USUAL[name]);
  history.replaceState(
    null,
    "",
    told.length ? `#view?${new URLSearchParams(told)}` : location.pathname + location.search,
  );
}

// Lists in the address, and lists in these; what holds them together is escaped within names.
const escaped = (text) => String(text ?? "").replace(/[%|~]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
const unescaped = (text) => text.replace(/%(25|7c|7e)/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
const listed = (text) => (text ? text.split("|").map(unescaped) : []);
const listing = (names) => names.map(escaped).join("|");
const pinned = () =>
  listed(state.pins)
    .map((id) => study.byId.get(id))
    .filter(Boolean);
const chosenRules = () => {
  const names = new Set(listed(state.rules)),
    chosen = study.rules.filter((rule) => names.has(rule.name));
  return chosen.length ? chosen : study.rules.slice(0, 1);
};
const pairs = (text) =>
  new Map(
    (text ? text.split("|") : []).map((part) => part.split("~").map(unescaped)).map(([name, ...rest]) => [name, rest]),
  );
const joined = (map) => [...map].map(([name, rest]) => [name, ...rest].map(escaped).join("~")).join("|");
/** A run, or all of a configuration. */
const idOf = (one, run) =>
  [one.id, ...(run === undefined ? [] : [study.runs.seed[run], study.runs.data_seed?.[run]])].map(escaped).join("~");
