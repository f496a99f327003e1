// All runs, and the card of one of them.

const PAGE = 50;
let rowsShown = PAGE;

function columns() {
  const told = study.parameters.map((_, at) => at).filter((at) => study.rules.some((rule) => rule.naming.includes(at)));
  const of = (run) => study.configurations[study.runs.of[run]];
  return [
    ["optimizer", (run) => of(run).title],
    ...told.map((p) => [
      study.parameters[p].title,
      (run) => study.values[p][of(run).values[p]],
      (run) => study.parameters[p].texts[of(run).values[p]] ?? "",
    ]),
    ["seed", (run) => study.runs.seed[run]],
    ...(study.runs.data_seed ? [["data seed", (run) => study.runs.data_seed[run]]] : []),
    ["status", (run) => study.runs.status[run]],
    ...study.measures
      .filter((one) => one.loss || one.more != null)
      .map((one) => [
        one.title,
        (run) => study.score(one.name, run, state.last),
        (run) => show(study.score(one.name, run, state.last), one),
      ]),
    ["best epoch", (run) => study.runs.best_epoch[run]],
    ["epochs", (run) => study.runs.epochs[run]],
    ["diverged at", (run) => study.runs.diverged[run]],
  ];
}

function drawRuns() {
  const all = columns(),
    [, place = "", way = ""] = /^(\d+)(-?)$/.exec(state.sort) ?? [];
  let runs = [...visible];
  const missing = (value) => value == null || Number.isNaN(value);
  if (place && all[place]) {
    const of = all[place][1],
      order = way ? d3.descending : d3.ascending;
    runs.sort((a, b) => missing(of(a)) - missing(of(b)) || order(of(a), of(b)) || a - b);
  }
  const heads = all.map(([title], at) =>
    make(
      "th",
      { scope: "col", "aria-sort": String(at) === place ? (way ? "descending" : "ascending") : null },
      make(
        "button",
        {
          type: "button",
          onclick: () => {
            change({ sort: state.sort === String(at) ? `${at}-` : String(at) });
            drawRuns();
          },
        },
        title,
      ),
    ),
  );
  const rows = runs.slice(0, rowsShown).map((run) =>
    make(
      "tr",
      { "data-run": run },
      ...all.map(([, value, text], at) => {
        const told = String((text ?? value)(run) ?? "");
        return at === 0
          ? make(
              "th",
              { scope: "row" },
              make("button", { type: "button", class: "plain", onclick: () => openRun(run) }, told),
            )
          : make("td", { class: typeof value(run) === "number" ? "number" : null }, told);
      }),
    ),
  );
  byId("runs-count").textContent = `${runs.length.toLocaleString("en")} of ${counted(study.runs.of.length, "run")}`;
  fill(
    byId("runs-table"),
    make("caption", { class: "hidden" }, "Runs"),
    make("thead", {}, make("tr", {}, ...heads)),
    make("tbody", {}, ...rows),
  );
  byId("more").hidden = runs.length <= rowsShown;
}

/** A run's own card: how it ended, its file, how to repeat it, and all of its curves. */
function openRun(run) {
  const one = study.configurations[study.runs.of[run]],
    card = byId("card"),
    all = study.runs;
  const given = study.parameters.map((p, at) => [p, at]).filter(([, at]) => one.values[at] >= 0);
  const facts = [
    ["status", all.status[run] + (all.reason?.[run] ? `: ${all.reason[run]}` : "")],
    ["seed", all.seed[run]],
    ...(all.data_seed ? [["data seed", all.data_seed[run]]] : []),
    ["epochs", all.epochs[run]],
    ["best epoch", all.best_epoch[run] ?? "–"],
    ["diverged in epoch", all.diverged[run] ?? "–"],
    ...given.map(([p, at]) => [p.title, p.texts[one.values[at]]]),
    ...study.measures.map((each) => [each.title, show(study.score(each.name, run), each)]),
  ];
  const numbers = given.map(([p, at]) => [p.name, study.values[at][one.values[at]]]);
  const rule = one.known ? `"${one.rule}"` : /^[\p{L}\p{N}_.]+$/u.test(one.rule) ? one.rule : "rule";
  const repeat =
    study.again && one.known
      ? `printf '%s\\n' '[[grid]]' 'optimizer = "${one.rule}"' 'points = [{ ${numbers.map(([name, value]) => `${name} = ${value}`).join(", ")} }]' > one.toml\n${study.again} --grid=one.toml --seeds=${all.seed[run] + 1} --workdir=workdir/again`
      : `js.make_grid(${rule}, ${numbers.map(([name, value]) => `${name}=${value}`).join(", ")})  # the grid; seeds=${all.seed[run] + 1}${rule === "rule" ? `; rule is ${one.rule}` : ""}`;
  const small = study.measures.map((measure) => {
    const rows = band([run], measure.name);
    if (!rows.length) return null;
    const log = state.log && !measure.share && rows.every((row) => row.mean > 0);
    return make(
      "figure",
      {},
      make("figcaption", {}, measure.title),
      plot({
        width: 260,
        height: 150,
        marginLeft: 48,
        marginBottom: 26,
        marginTop: 8,
        ariaLabel: `${measure.title} over the epochs`,
        x: { label: null, ticks: 4, tickFormat: "d" },
        y: { ...axis(...d3.extent(rows, (row) => row.mean), log, measure, 4), label: null },
        marks: [
          Plot.lineY(rows, { x: "epoch", y: "mean", stroke: "var(--c0)", strokeWidth: 1.8 }),
          rows.length < 3 ? Plot.dot(rows, { x: "epoch", y: "mean", fill: "var(--c0)" }) : null,
        ],
      }),
    );
  });
  const every = () =>
    study.epochs
      .filter((epoch) => epoch <= all.epochs[run])
      .map((epoch, at) => [
        String(epoch),
        ...study.measures.map((each) => show(study.curve(each.name, run)[at], each)),
      ]);
  byId("card-title").textContent = `${one.name}, ${study.seed(run)}`;
  byId("card-body").replaceChildren(
    make(
      "dl",
      { class: "lines" },
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))),
    ),
    make("div", { class: "small" }, ...small),
    behind("All curves", ["epoch", ...study.measures.map((each) => each.title)], every),
    make("h3", {}, "Again"),
    make("pre", { tabindex: 0 }, repeat),
    all.file[run] ? make("p", { class: "file" }, "File: ", make("code", {}, `runs/${all.file[run]}.parquet`)) : null,
  );
  change({ run: idOf(one, run) });
  if (!card.open) card.showModal();
}
