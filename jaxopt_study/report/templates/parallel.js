// All configurations as lines through all hyperparameters.

/** A line a configuration through all hyperparameters to the measure. */
function drawParallel() {
  const rules = chosenRules(),
    measure = study.measure(state.measure);
  const ones = rules.flatMap((rule) => left(rule)).filter((one) => Number.isFinite(summary(one).mean));
  if (!ones.length) return [nothing()];
  const parameters = [...new Set(rules.flatMap((rule) => rule.varied))],
    names = [...parameters.map((p) => study.parameters[p].title), measure.title];
  const { scale } = scaleOf(ones.map((one) => summary(one).mean)),
    log = scale.type === "log";
  const way = (log ? d3.scaleLog() : d3.scaleLinear()).domain(scale.domain).range([0, 1]).clamp(true);
  const used = new Map(
    parameters.map((p) => [
      p,
      [...new Set(ones.map((one) => one.values[p]))].filter((v) => v >= 0).sort((a, b) => a - b),
    ]),
  );
  const spot = (p, value) => (used.get(p).length > 1 ? used.get(p).indexOf(value) / (used.get(p).length - 1) : 0.5);
  const shade = heat(
    ones.map((one) => summary(one).mean),
    "--strokes",
  );
  // Titles are broken between words; where even one of these has no room the picture is wider and scrolls.
  const words = names.flatMap((name) => name.split(/\s+/)),
    longest = Math.min(
      d3.max(words, (word) => word.length),
      24,
    );
  const width = Math.max(widthOf("overview"), 60 + names.length * (7 * longest + 6)),
    room = (width - 60) / names.length / 12 - 0.4,
    lines = d3.max(names, (name) => Math.ceil((0.62 * name.length) / room));
  const points = ones.flatMap((one) => [
    ...parameters
      .filter((p) => one.values[p] >= 0)
      .map((p) => ({ one, at: study.parameters[p].title, y: spot(p, one.values[p]) })),
    { one, at: measure.title, y: way(summary(one).mean) },
  ]);
  const ticks = [
    ...parameters.flatMap((p) =>
      thin(used.get(p)).map((value) => ({
        at: study.parameters[p].title,
        y: spot(p, value),
        text: study.parameters[p].texts[value],
      })),
    ),
    ...[0, 0.5, 1].map((y, at, all) => ({ at: measure.title, y, text: briefly(all.map(way.invert), measure)[at] })),
  ];
  const marked = [
    ...d3
      .group(
        points.filter(({ one }) => pinned().includes(one)),
        ({ one }) => one,
      )
      .values(),
  ];
  const picture = plot({
    width,
    height: 400,
    marginLeft: 30,
    marginRight: 30,
    marginTop: 14 + 14 * lines,
    marginBottom: 12,
    ariaLabel: `Hyperparameters and ${measure.title}, a line a configuration`,
    x: { type: "point", domain: names, axis: null },
    y: { axis: null, domain: [-0.07, 1.07] }, // for values above the highest and below the lowest place
    marks: [
      Plot.axisX({ anchor: "top", label: null, tickSize: 0, lineWidth: room, lineHeight: 1.15 }),
      Plot.ruleX(names, { stroke: "var(--line)" }),
      Plot.line(points, {
        x: "at",
        y: "y",
        z: ({ one }) => one.at,
        stroke: ({ one }) => shade(summary(one).mean).formatHex(),
        strokeOpacity: ones.length > 300 ? 0.6 : 1,
        strokeWidth: 1.4,
        curve: "bump-x",
      }),
      ...marked.map((of) =>
        Plot.line(of, { x: "at", y: "y", ...strokeOf(of[0].one), strokeWidth: 3, curve: "bump-x" }),
      ),
      // Lines leave the lowest place upwards and the others mostly downwards.
      ...[ticks.filter(({ y }) => y > 0), ticks.filter(({ y }) => y === 0)].map((of, lowest) =>
        Plot.text(of, {
          x: "at",
          y: "y",
          text: "text",
          dy: lowest ? 10 : -9,
          stroke: "var(--page)",
          strokeWidth: 4,
          fill: "currentColor",
        }),
      ),
      Plot.dot(points, Plot.pointer({ x: "at", y: "y", stroke: "currentColor", r: 6, strokeWidth: 2 })),
    ],
  });
  picture.addEventListener("input", () => hover(picture.value?.one ?? null));
  picture.addEventListener("click", () => {
    if (hovered) {
      toggle([hovered]);
      drawOverview();
    }
  });
  const rows = () =>
    d3
      .sort(ones, (one) => (measure.more ? -1 : 1) * summary(one).mean)
      .slice(0, 500)
      .map((one) => [make("button", { class: "plain", ...pins(one) }, one.name), show(summary(one).mean), remark(one)]);
  const wide = width > widthOf("overview");
  if (wide) picture.style.minWidth = `${width}px`;
  const scroll = {
    class: "scroll bare",
    tabindex: 0,
    role: "region",
    "aria-label": "Hyperparameters, scrolls sideways",
  };
  return [
    wide ? make("div", scroll, picture) : picture,
    make("p", { class: "note" }, `${counted(ones.length, "configuration")}; hover to see its curves, click to pin.`),
    behind(
      `Configurations, the ${measure.more == null ? "lowest" : "best"} first`,
      ["configuration", measure.title, "remark"],
      rows,
    ),
  ];
}

const thin = (values) =>
  values.length <= 12 ? values : values.filter((_, at) => at % Math.ceil(values.length / 12) === 0);
