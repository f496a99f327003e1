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

const shown = () => [...pinned(), ...(hovered && !pinned().includes(hovered) ? [hovered] : [])];

function drawCurves() {
  const place = byId("curves"),
    ones = shown();
  if (!ones.length)
    return fill(place, make("p", { class: "none" }, "Choose cells, a row or a column to see their curves."));
  const bands = ones.map((one) => ({ one, rows: band(epochsOf(one)) }));
  fill(place, ...curvePicture(bands, widthOf("curves"), 340), legend(bands));
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
  const lines = bands.flatMap(({ one, rows }) => {
    const style = {
      ...strokeOf(one),
      strokeWidth: one === hovered ? 3 : 2,
      clip: true,
    };
    const runs = epochsOf(one);
    if (state.seeds)
      return runs.map((run) => Plot.lineY(band([run]), { x: "epoch", y: "mean", ...style, strokeWidth: 1.4 }));
    return [
      Plot.areaY(rows, { x: "epoch", y1: "low", y2: "high", fill: colour(one), fillOpacity: 0.14, clip: true }),
      Plot.lineY(rows, { x: "epoch", y: "mean", ...style }),
    ];
  });
  const few = bands.flatMap(({ one, rows }) => (rows.length < 3 ? rows.map((row) => ({ ...row, one })) : []));
  const last = study.epochs.at(-1),
    read = readEpoch();
  const picture = plot({
    width,
    height,
    marginLeft: 60,
    marginBottom: 40,
    marginTop: 26,
    ariaLabel: `${measure.title} over the epochs of ${bands.map(({ one }) => one.name).join("; ")}`,
    x: { label: "epoch \u2192", domain: [1, Math.max(last, 2)], ticks: Math.min(last, 8), tickFormat: "d" },
    y: scale,
    marks: [
      Plot.ruleY(guess, { stroke: "var(--muted)", strokeDasharray: "1,4" }),
      Plot.text(guess, { text: () => "guessing", frameAnchor: "right", y: (d) => d, dy: -7, fill: "var(--muted)" }),
      ...lines,
      Plot.dot(few, { x: "epoch", y: "mean", fill: ({ one }) => colour(one) }),
      read == null ? null : Plot.ruleX([read], { stroke: "currentColor", strokeOpacity: 0.5 }),
      Plot.ruleX(study.epochs, Plot.pointerX({ x: (epoch) => epoch, stroke: "currentColor", strokeDasharray: "3,3" })),
    ],
  });
  picture.addEventListener("input", () => readAt(picture.value ?? read));
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
      readAt(readEpoch());
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
    make("label", { class: "epoch" }, "Read at epoch ", slider, make("output", { id: "epoch-read", for: "epoch" })),
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
