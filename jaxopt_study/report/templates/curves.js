// The curves of what is chosen.

const epochsOf = (one) => one.runs.filter((run) => visible.has(run));

/** Mean, lowest and highest over some runs at each epoch; where a run has ended the others go on. */
function band(runs, name = state.measure) {
  const curves = runs.map((run) => study.curve(name, run));
  return study.epochs
    .map((epoch, at) => {
      const values = curves.map((curve) => curve[at]).filter(Number.isFinite);
      return { epoch, mean: values.length ? d3.mean(values) : NaN, low: d3.min(values), high: d3.max(values) };
    })
    .filter((row) => Number.isFinite(row.mean));
}

/** How long an epoch of a configuration is on the axis: 1, or over time what it takes in epochs of SGD; undefined if nobody measured it. */
const pace = (one) => (isTimed() ? study.costs[one.rule] : 1);
const isTimed = () => state.over !== "" && Object.keys(study.costs).length > 0;

const shown = () => [...pinned(), ...(hovered && !pinned().includes(hovered) ? [hovered] : [])];

function drawCurves() {
  const place = byId("curves"),
    ones = shown();
  if (!ones.length)
    return fill(place, make("p", { class: "none" }, "Choose cells, a row or a column to see their curves."));
  const bands = ones.map((one) => ({ one, rows: band(epochsOf(one)) }));
  const paced = bands.filter(({ one }) => pace(one) !== undefined),
    unpaced = bands.filter(({ one }) => pace(one) === undefined).map(({ one }) => one.title);
  fill(
    place,
    ...(paced.length ? curvePicture(paced, widthOf("curves"), 340) : []),
    unpaced.length
      ? make("p", { class: "note" }, `The time of a step was not measured of ${[...new Set(unpaced)].join(", ")}.`)
      : null,
    legend(bands),
  );
}

/** Lines with the range of their seeds; the pointer reads an epoch off, and so does the slider. */
function curvePicture(bands, width, height) {
  const measure = study.measure(state.measure);
  const { scale, hidden } = scaleOf(
    bands.flatMap(({ rows }) => rows.flatMap((row) => [row.low, row.mean, row.high])),
    `\u2191 ${measure.title}${measure.unit ? ` (${measure.unit})` : ""}`,
  );
  const guess =
    measure.loss && study.chance != null && study.chance > scale.domain[0] && study.chance < scale.domain[1]
      ? [study.chance]
      : [];
  const alone = study.epochs.length === 1,
    read = readEpoch();
  const lines = bands.flatMap(({ one, rows }, at) => {
    const style = { ...strokeOf(one), strokeWidth: state.seeds ? 1.4 : one === hovered ? 3 : 2, clip: true };
    const placed = (of) => of.map((row) => ({ ...row, x: row.epoch * pace(one) })),
      each = (state.seeds ? epochsOf(one).map((run) => band([run])) : [rows]).map(placed),
      dx = alone ? 14 * (at - (bands.length - 1) / 2) : 0; // of one epoch they would lie on each other
    return [
      state.seeds
        ? null
        : Plot.areaY(each[0], { x: "x", y1: "low", y2: "high", fill: colour(one), fillOpacity: 0.14, clip: true }),
      ...each.filter((of) => of.length > 1).map((of) => Plot.lineY(of, { x: "x", y: "mean", ...style })),
      ...each.filter((of) => of.length < 3).flatMap((of) => asPoints(of, colour(one), { dx, x: "x" })),
      // In time an epoch is elsewhere on every curve.
      isTimed()
        ? Plot.dot(each.flat(), {
            x: "x",
            y: "mean",
            filter: ({ epoch }) => epoch === read,
            fill: colour(one),
            r: 4.5,
            clip: true,
          })
        : null,
    ];
  });
  const picture = plot({
    width,
    height,
    marginLeft: 60,
    marginBottom: 40,
    marginTop: 26,
    ariaLabel: `${measure.title} over ${isTimed() ? "time" : "the epochs"} of ${bands.map(({ one }) => one.name).join("; ")}`,
    x: isTimed() ? timeAxis(bands) : epochAxis(),
    y: scale,
    marks: [
      Plot.ruleY(guess, { stroke: "var(--muted)", strokeDasharray: "1,4" }),
      Plot.text(guess, { text: () => "guessing", frameAnchor: "right", y: (d) => d, dy: -7, fill: "var(--muted)" }),
      ...lines,
      ...(isTimed()
        ? []
        : [
            read == null ? null : Plot.ruleX([read], { stroke: "currentColor", strokeOpacity: 0.5 }),
            Plot.ruleX(
              study.epochs,
              Plot.pointerX({ x: (epoch) => epoch, stroke: "currentColor", strokeDasharray: "3,3" }),
            ),
          ]),
    ],
  });
  picture.addEventListener("input", () => readAt(picture.value ?? read));
  if (!isTimed())
    picture.addEventListener("click", () => {
      change({ epoch: String((read == null && picture.value) || "") });
      drawCurves();
    });
  const rows = () =>
    study.epochs.map((epoch) => [
      String(epoch),
      ...bands.map(({ rows: each }) => show(each.find((row) => row.epoch === epoch)?.mean)),
    ]);
  return [
    picture,
    cutNote(hidden),
    behind(`${measure.title} at each epoch, means over seeds`, ["epoch", ...bands.map(({ one }) => one.name)], rows),
  ];
}

const isAlike = (ones) => new Set(ones.map((one) => one.rule)).size === 1;
/** Names of configurations; of one rule their numbers. */
const naming = (ones) => (one) => (isAlike(ones) && one.numbers ? one.numbers : one.name);

/** What is shown, with its value at an epoch that is read off, else its best. */
function legend(bands) {
  const ones = bands.map(({ one }) => one),
    alike = isAlike(ones),
    named = naming(ones);
  const measure = study.measure(state.measure),
    last = study.epochs.length - 1,
    read = readEpoch();
  const slider = make("input", {
    type: "range",
    id: "epoch",
    min: 0,
    max: last,
    value: read == null ? last : study.epochs.indexOf(read),
    oninput: (event) => {
      change({ epoch: String(study.epochs[event.target.value]) });
      if (isTimed()) drawCurves();
      else readAt(readEpoch());
    },
  });
  const rows = bands.map(({ one }) => {
    const seeds = one.runs.map((run) =>
      make(
        "button",
        {
          type: "button",
          class: "plain",
          onclick: () => openRun(run),
          "aria-label": `Run of ${study.seed(run)}: ${one.name}`,
        },
        [study.runs.seed[run], study.runs.data_seed?.[run]].filter((seed) => seed != null).join("/"),
      ),
    );
    const remove = pinned().includes(one)
      ? make(
          "button",
          { type: "button", class: "plain", onclick: () => toggle([one]), "aria-label": `Remove ${one.name}` },
          "\u2715",
        )
      : null;
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, lineKey(strokeOf(one)), named(one), make("small", {}, remark(one))),
      make("td", { class: "number", "data-value-of": one.at }),
      make("td", { class: "seeds" }, ...seeds),
      make("td", {}, remove),
    );
  });
  const heads = [
    [alike ? bands[0].one.title : "configuration"],
    ["", "number", "value-head"],
    [study.runs.data_seed ? "runs by seed/order" : "runs by seed"],
    [""],
  ].map(([text, kind, id]) =>
    make(text || id ? "th" : "td", { scope: text || id ? "col" : null, class: kind, id }, text),
  );
  const told = make(
    "div",
    {},
    make(
      "label",
      { class: "epoch", hidden: !last },
      "Read at epoch ",
      slider,
      make("output", { id: "epoch-read", for: "epoch" }),
    ),
    make(
      "table",
      { class: "dense legend-table" },
      make("caption", { class: "hidden" }, `What is shown: ${measure.title}`),
      make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...rows),
    ),
  );
  queueMicrotask(() => readAt(read));
  return told;
}

/** The epoch that is read off, of those that the curves have; null if none is. */
const readEpoch = () => study.epochs.find((epoch) => String(epoch) === state.epoch) ?? null;

/** Writes the values at an epoch into the legend; at none, those of the map. */
function readAt(epoch) {
  const at = study.epochs.indexOf(epoch),
    measure = study.measure(state.measure);
  for (const cell of document.querySelectorAll("[data-value-of]")) {
    const one = study.configurations[cell.dataset.valueOf];
    const values =
      at < 0
        ? []
        : epochsOf(one)
            .map((run) => study.curve(state.measure, run)[at])
            .filter(Number.isFinite);
    const told =
      at < 0
        ? summary(one)
        : { mean: d3.mean(values), low: d3.min(values), high: d3.max(values), seeds: values.length };
    cell.replaceChildren(
      make("b", {}, show(told.mean)),
      make("small", {}, told.seeds > 1 ? `${short(told.low, measure)}–${short(told.high, measure)}` : ""),
    );
  }
  if (byId("value-head"))
    byId("value-head").textContent =
      at < 0 ? (state.last ? "last epoch" : measure.loss ? "lowest" : "at the best epoch") : `epoch ${epoch}`;
  if (byId("epoch-read")) byId("epoch-read").textContent = at < 0 ? "–" : String(epoch);
  byId("epoch")?.setAttribute("aria-valuetext", at < 0 ? "no epoch" : `epoch ${epoch}`);
}
