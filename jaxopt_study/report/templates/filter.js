// Which runs are shown: the filter's words and the ranges.

const COMPARED = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
};
const SIGN = /(<=|>=|!=|==|=|<|>)/;

/** A name without case, spaces and signs: `Decay (rho)` and `decay_rho` are one. */
const bare = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");

/**
 * What a condition may be about: by its name and by what the page calls it, the value of a run. A hyperparameter or a
 * measure comes before a column of the run of the same name.
 */
function columnsByName() {
  const of = (run) => study.configurations[study.runs.of[run]],
    { file, of: _, ...columns } = study.runs;
  const all = [
    ...study.parameters.map((p, at) => ({
      names: [p.name, p.title, p.short],
      value: (run) => study.values[at][of(run).values[at]],
    })),
    ...study.measures.map((each) => ({ names: [each.name, each.title], value: (run) => study.score(each.name, run) })),
    { names: ["optimizer", "rule"], words: (run) => [of(run).title, of(run).rule] },
    ...["status", "reason"]
      .filter((name) => columns[name])
      .map((name) => ({ names: [name], words: (run) => [columns[name][run] ?? ""] })),
    ...["seed", "data_seed", "best_epoch", "epochs", "diverged"]
      .filter((name) => columns[name])
      .map((name) => ({
        names: name === "diverged" ? [name, "diverged at"] : [name],
        value: (run) => columns[name][run] ?? undefined,
      })),
  ];
  const found = new Map();
  // Real names first, then what they are called, then both without case and signs.
  const keys = [({ names }) => names.slice(0, 1), ({ names }) => names, ({ names }) => names.map(bare)];
  for (const keysOf of keys)
    for (const column of all) for (const key of keysOf(column)) if (key && !found.has(key)) found.set(key, column);
  return found;
}

/** How many letters are to be changed between two words. */
function letters(a, b) {
  let row = d3.range(b.length + 1);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row.at(-1);
}

/** The column whose name is nearest: one that has the word in it before one with a few other letters; or none. */
function nearest(name, columns) {
  const word = bare(name),
    names = [...new Set(columns.values())].flatMap((column) => column.names.map((each) => [each, column.names[0]]));
  const within = word.length < 3 ? [] : names.filter(([each]) => bare(each).includes(word));
  const found = within.length
    ? d3.least(within, ([each]) => [each.startsWith("val") ? 0 : 1, each.length])
    : d3.least(
        names.filter(([each]) => letters(bare(each), word) <= word.length / 3),
        ([each]) => letters(bare(each), word),
      );
  return found?.[1];
}

/** A number as it is written: 0.1, 1e-3, 90%. */
const numberOf = (text) => (text.endsWith("%") ? Number(text.slice(0, -1) || NaN) / 100 : text ? Number(text) : NaN);

/** A condition as a question to a run, or what is wrong with it. */
function condition(name, sign, text, columns) {
  const column = columns.get(name) ?? columns.get(bare(name)),
    whole = `${name}${sign}${text}`;
  if (!column) {
    const near = name && nearest(name, columns),
      all = [...new Set(columns.values())].map((each) => each.names[0]);
    const hint = near
      ? `did you mean ${near}?`
      : `there are ${all.slice(0, 16).join(", ")}${all.length > 16 ? " .." : ""}`;
    return { wrong: name ? `no column ${name}; ${hint}` : `${whole} has no column before it` };
  }
  if (!text) return { wrong: `${whole} is not complete: what is it compared with?` };
  if (column.words) {
    if (!sign.includes("=") || /[<>]/.test(sign)) return { wrong: `${whole}: ${name} takes = or != only` };
    const is = (run) => column.words(run).some((word) => bare(word) === bare(text));
    return { holds: sign === "!=" ? (run) => !is(run) : is };
  }
  const number = numberOf(text);
  if (Number.isNaN(number)) return { wrong: `${whole}: ${text} is no number` };
  const near = (value) => Math.abs(value - number) <= 1e-3 * Math.abs(number); // as it is written, in a few digits
  const holds = (value) =>
    sign === "!="
      ? value !== number && !near(value)
      : COMPARED[sign](value, number) || (sign.includes("=") && near(value));
  return {
    holds: (run) => {
      const value = column.value(run);
      return value !== undefined && !Number.isNaN(value) && holds(value);
    },
  };
}

/**
 * The filter's words as questions to a run, and what is wrong with some: `learning_rate<=0.01`, `validation loss < 0.1`,
 * or a part of a run's text. A name or a text of several words is as long as there is one.
 */
function questions(text) {
  const columns = columnsByName(),
    parts = text.trim().split(SIGN),
    asked = [],
    wrong = [];
  const worded = (words) => words.map((word) => ({ holds: (run) => study.texts[run].includes(word.toLowerCase()) }));
  let words = parts[0].split(/\s+/).filter(Boolean);
  for (let at = 1; at < parts.length; at += 2) {
    const sign = parts[at] === "==" ? "=" : parts[at],
      next = parts[at + 1].split(/\s+/).filter(Boolean),
      last = at + 2 >= parts.length;
    const known = d3.range(words.length).find((from) => {
      const name = words.slice(from).join(" ");
      return columns.has(name) || columns.has(bare(name));
    });
    const from = known ?? Math.max(words.length - 1, 0),
      name = words.slice(from).join(" "),
      column = columns.get(name) ?? columns.get(bare(name));
    // The words after it: its value, as long as there is such a text, then others or the next one's name.
    const least = last ? 1 : Math.min(1, next.length - 1);
    const texts = column?.words ? new Set(d3.range(study.runs.of.length).flatMap(column.words).map(bare)) : new Set();
    const long = d3.range(next.length, least, -1).find((count) => texts.has(bare(next.slice(0, count).join(" "))));
    asked.push(...worded(words.slice(0, from)), condition(name, sign, next.slice(0, long ?? least).join(" "), columns));
    words = next.slice(long ?? least);
  }
  asked.push(...worded(words));
  for (const one of asked) if (one.wrong) wrong.push(one.wrong);
  return { holds: asked.flatMap((one) => one.holds ?? []), wrong };
}

let visible = new Set(); // runs that the filter leaves

function filter() {
  const { holds, wrong } = questions(state.find);
  for (const [name, [low, high]] of pairs(state.ranges)) {
    const at = study.parameters.findIndex((one) => one.name === name);
    const value = (run) => study.configurations[study.runs.of[run]].values[at];
    holds.push(
      (run) =>
        value(run) < 0 || (value(run) >= (low === "" ? 0 : +low) && value(run) <= (high === "" ? Infinity : +high)),
    );
  }
  visible = new Set(d3.range(study.runs.of.length).filter((run) => holds.every((each) => each(run))));
  const told = wrong.map((each) => `Not used: ${each}`).join("\n");
  if (byId("find-wrong").textContent !== told) byId("find-wrong").textContent = told;
}
