// Two beside each other.

function sides() {
  const named = naming(pinned());
  return pinned().flatMap((one) => [
    { id: idOf(one), name: named(one), one, runs: one.runs },
    ...one.runs.map((run) => ({
      id: idOf(one, run),
      name: `${named(one)}, ${study.seed(run)}`,
      one,
      runs: [run],
    })),
  ]);
}

const UNLEARNT = new Set(["diverged", "failed", "worse than guessing"]);

/**
 * The mean difference of two, paired by seed, with Student's 95% interval; without one for a single pair. Pairs of one
 * order of the data have its luck in common: of several orders the values are the means of each.
 */
function difference(a, b, valueOf) {
  const order = (run) => study.runs.data_seed?.[run] ?? 0,
    seed = (run) => `${study.runs.seed[run]}/${order(run)}`;
  const alone = a.runs.length === 1 && b.runs.length === 1,
    pairs = [];
  for (const run of a.runs) {
    const other = alone ? b.runs[0] : b.runs.find((each) => seed(each) === seed(run));
    if (other !== undefined)
      pairs.push({ order: order(run), runs: [run, other], value: valueOf(other) - valueOf(run) });
  }
  const told = pairs.filter(({ value }) => Number.isFinite(value)),
    orders = new Set(pairs.map((pair) => pair.order)).size > 1;
  const finite = orders
    ? [
        ...d3
          .rollup(
            told,
            (of) => d3.mean(of, ({ value }) => value),
            (pair) => pair.order,
          )
          .values(),
      ]
    : told.map(({ value }) => value);
  const mean = d3.mean(finite) ?? NaN;
  const t = study.t[finite.length] ?? (finite.length > 1 ? 1.96 : null);
  const size = d3.max(finite, Math.abs), // as analysis.intervals.no_spread: seeds that agree have no spread to judge by
    alike = finite.length > 1 && d3.max(finite) - d3.min(finite) <= 1e-12 * size;
  const stuck = pairs.some(({ runs }) => runs.some((run) => UNLEARNT.has(study.runs.status[run])));
  const half = t && !alike && !stuck ? (t * d3.deviation(finite)) / Math.sqrt(finite.length) : NaN;
  return {
    mean,
    low: mean - half,
    high: mean + half,
    alike,
    stuck,
    pairs: finite.length,
    what: orders ? "order" : "seed",
  };
}

/** A difference with its sign; of shares in points. */
const gap = (value, measure) =>
  `${value > 0 ? "+" : ""}${measure.share ? `${(100 * value).toFixed(2)} points` : power(value.toPrecision(3))}`;

/** Its interval, or why there is none. */
function around(told, measure) {
  if (told.stuck && told.pairs > 1) return " (a run learned nothing: no interval)";
  if (told.alike) return ` (the same in all ${told.what}s: no interval)`;
  if (Number.isNaN(told.low)) return "";
  return ` (${[told.low, told.high].map((end) => power((measure.share ? 100 * end : end).toPrecision(3))).join(" to ")})`;
}

const differs = (told, measure) =>
  Number.isNaN(told.mean) ? "no pair of values" : gap(told.mean, measure) + around(told, measure);

function drawCompare() {
  const all = sides(),
    place = byId("compare");
  byId("compare-box").hidden = all.length < 3; // a configuration of one seed is itself and its run
  if (all.length < 3) return;
  const two = pinned(),
    usual = two.length > 1 ? two.map((one) => all.find((side) => side.id === idOf(one))) : all.slice(1);
  const [a, b] = [state.a, state.b].map((id, at) => all.find((side) => side.id === id) ?? usual[at]);
  for (const [id, side] of [
    ["a", a],
    ["b", b],
  ]) {
    byId(id).replaceChildren(
      ...all.map((each) => make("option", { value: each.id, selected: each.id === side.id }, each.name)),
    );
  }
  const measure = study.measure(state.measure),
    at = (name) => (run) => study.score(name, run, state.last);
  const gaps = study.epochs
    .map((epoch, e) => ({ epoch, ...difference(a, b, (run) => study.curve(state.measure, run)[e]) }))
    .filter((row) => Number.isFinite(row.mean));
  const domain = gaps.length ? gapDomain(gaps) : [],
    cut = gaps.some((row) => row.low < domain[0] || row.high > domain[1]);
  const picture = gaps.length
    ? plot({
        width: innerWidth > 960 ? (widthOf("compare") - 32) / 2 : widthOf("compare"),
        height: 260,
        marginLeft: 60,
        marginBottom: 40,
        marginTop: 26,
        ariaLabel: `Difference in ${measure.title} over the epochs`,
        x: epochAxis(),
        y: { ...axis(...domain, false, measure), label: `\u2191 ${measure.title}, second minus first` },
        marks: [
          Plot.ruleY([0], { stroke: "currentColor" }),
          Plot.areaY(gaps, { x: "epoch", y1: "low", y2: "high", fill: "var(--c0)", fillOpacity: 0.18, clip: true }),
          Plot.lineY(gaps.length > 1 ? gaps : [], {
            x: "epoch",
            y: "mean",
            stroke: "var(--c0)",
            strokeWidth: 2,
            clip: true,
          }),
          ...(gaps.length < 3 ? asPoints(gaps, "var(--c0)") : []),
        ],
      })
    : make("p", { class: "none" }, "They share no seed.");
  const value = (side, name) => show(d3.mean(side.runs.map(at(name)).filter(Number.isFinite)), study.measure(name));
  const numbers = study.parameters.map((p, n) => [
    p.title,
    ...[a, b].map(({ one }) => p.texts[one.values[n]] ?? "–"),
    a.one.values[n] === b.one.values[n] ? "the same" : "differs",
  ]);
  const rows = [
    ["rule", a.one.title, b.one.title, a.one.rule === b.one.rule ? "the same" : "differs"],
    ...numbers.filter(([, first, second]) => first !== "–" || second !== "–"),
    ...study.measures.map((each) => [
      each.title,
      value(a, each.name),
      value(b, each.name),
      differs(difference(a, b, at(each.name)), each),
    ]),
  ];
  const told = difference(a, b, at(state.measure));
  const sentence = Number.isNaN(told.mean)
    ? "They have no seed in common whose runs both have a value."
    : `${measure.title}, ${state.last ? "last epoch" : "at its best"}: second minus first ${differs(told, measure)}${
        told.pairs === 1
          ? ", of one pair: no interval"
          : told.alike || told.stuck
            ? ""
            : `, 95% interval, ${counted(told.pairs, told.what)} in pairs`
      }.`;
  const told95 = gaps.some((row) => Number.isFinite(row.low))
    ? `${gaps.length < 3 ? "Bars" : "The band"}: 95% intervals over the ${told.what}s${cut ? "; where it ends at the edge of the picture they go on beyond it" : ""}.`
    : "";
  place.replaceChildren(
    make("p", { class: "lead" }, sentence),
    make("div", {}, picture, told95 ? make("p", { class: "note" }, told95) : null),
    table("The two beside each other", ["what", "first", "second", "second minus first"], rows),
  );
}

/** As far as the means go, and the interval where it is not much wider. */
function gapDomain(gaps) {
  const size = 1.6 * d3.max(gaps, (row) => Math.abs(row.mean)) || 1;
  const ends = gaps.flatMap((row) => [row.mean, Math.max(row.low || 0, -size), Math.min(row.high || 0, size), 0]);
  const [least, most] = d3.extent(ends);
  return least === most ? [-1, 1] : [least, most];
}
