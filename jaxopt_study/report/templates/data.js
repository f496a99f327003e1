// The study's data as they stand in #study (jaxopt_study/report/data.py says how), with what follows from them.
//
// The files of this folder are one module in the page, one after the other (page.py says in which order): every picture
// is drawn from the data and from what the address keeps, with d3 and Observable Plot.
/* global d3, Plot */

const byId = (id) => document.getElementById(id);

/**
 * A packed text as a function of a place and a count that gives so many numbers from there: gzip, and the first bytes
 * of all numbers before the second. They are put together when they are asked for; few curves ever are.
 */
async function unpack(text) {
  const letters = atob(text),
    packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) packed[at] = letters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer()),
    all = planes.length / 4;
  return (start, count) => {
    const bytes = new Uint8Array(4 * count);
    for (let at = 0; at < count; at++) {
      for (let plane = 0; plane < 4; plane++) bytes[4 * at + plane] = planes[plane * all + start + at];
    }
    return new Float32Array(bytes.buffer);
  };
}

/** A name that is written from right to left, or has signs for that, so that it turns nothing around it. */
const isolated = (name) =>
  /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(name) ? `\u2068${name}\u2069` : name;

let study; // the data, with what follows from them

async function load(text) {
  const data = JSON.parse(text),
    numbers = await unpack(data.numbers);
  const runs = data.runs.of.length,
    measures = data.measures.length,
    epochs = data.epochs.length;
  const index = new Map(data.measures.map((measure, at) => [measure.name, at])),
    scores = numbers(0, 2 * measures * runs);
  data.measure = (name) => data.measures[index.get(name)];
  data.score = (name, run, last) => scores[((last ? measures : 0) + index.get(name)) * runs + run];
  data.curve = (name, run) => numbers(scores.length + (index.get(name) * runs + run) * epochs, epochs);
  data.rules = d3
    .groups(data.configurations, (one) => one.rule)
    .map(([name, of]) => {
      const varied = data.parameters
        .map((_, at) => at)
        .filter((at) => new Set(of.map((one) => one.values[at])).size > 1);
      // What its configurations are told apart by; of the only one what it was trained with.
      const given = data.parameters
        .map((_, at) => at)
        .filter((at) => of[0].values[at] >= 0 && !data.parameters[at].guard);
      return { name, title: of[0].title, of, varied, naming: varied.length ? varied : given };
    });
  const naming = new Map(data.rules.map((rule) => [rule.name, rule.naming]));
  data.configurations.forEach((one, at) => {
    Object.assign(one, { at, runs: [] });
    const told = naming
      .get(one.rule)
      .map((p) => `${isolated(data.parameters[p].title)} ${data.parameters[p].texts[one.values[p]] ?? "–"}`);
    one.numbers = told.join(", ");
    one.name = [isolated(one.title), one.numbers].filter(Boolean).join(", ");
    one.id = [one.rule, ...one.values.map((value, p) => data.parameters[p].texts[value] ?? "")].join(":");
  });
  data.runs.of.forEach((of, run) => data.configurations[of].runs.push(run));
  for (const one of data.configurations) one.runs.sort((a, b) => data.runs.seed[a] - data.runs.seed[b]);
  data.seed = (run) =>
    `seed ${data.runs.seed[run]}${data.runs.data_seed?.[run] == null ? "" : `, order ${data.runs.data_seed[run]}`}`;
  data.byId = new Map(data.configurations.map((one) => [one.id, one]));
  data.texts = data.runs.of.map((of, run) => {
    const one = data.configurations[of];
    const numbers = data.parameters.map((p, at) =>
      one.values[at] < 0 ? "" : `${p.title} ${p.name} ${p.texts[one.values[at]]}`,
    );
    return [one.title, one.rule, ...numbers, data.seed(run), data.runs.status[run]].join(" ").toLowerCase();
  });
  return data;
}
