// All configurations at once: a map, lines over a hyperparameter, or through all of them.

/** Which picture: a map where nothing varies that another one could show. */
const viewed = () =>
  ["line", "parallel"].includes(state.view) && chosenRules().some((rule) => rule.varied.length) ? state.view : "map";

function drawOverview() {
  const place = byId("overview");
  const draw = { map: drawMaps, line: drawLines, parallel: drawParallel }[viewed()];
  fill(place, ...draw());
  markPins();
}

function toggle(ones, only) {
  const before = only ? [] : listed(state.pins);
  const ids = ones.map((one) => one.id);
  const pins = ids.every((id) => before.includes(id))
    ? before.filter((id) => !ids.includes(id))
    : [...new Set([...before, ...ids])];
  change({ pins: listing(pins) });
  markPins();
  drawCurves();
  drawCompare();
}

/** Shows on every button of a configuration whether it is pinned. */
function markPins() {
  const all = new Set(pinned());
  for (const button of document.querySelectorAll("[data-of]")) {
    const one = study.configurations[button.dataset.of],
      on = all.has(one);
    button.setAttribute("aria-pressed", on);
    button.style.outlineColor = on ? colour(one) : "";
  }
}

function hover(one) {
  if (hovered === one) return;
  hovered = one;
  drawCurves();
}

/** Attributes of a button that pins a configuration, and shows its curves while the pointer or the focus is on it. */
const pins = (one) => ({ type: "button", "data-of": one.at, "aria-pressed": "false" });

/** One listener for all of these, of which a map may have thousands. */
function listenToPins(place) {
  const of = (event) => study.configurations[event.target.closest?.("[data-of]")?.dataset.of];
  place.addEventListener("click", (event) => {
    if (of(event)) toggle([of(event)]);
  });
  for (const kind of ["mouseover", "focusin"]) place.addEventListener(kind, (event) => hover(of(event) ?? null));
  for (const kind of ["mouseleave", "focusout"]) place.addEventListener(kind, () => hover(null));
}

/** The measure over one hyperparameter, a line for each rule and value of the second. */
function drawLines() {
  const drawn = [];
  for (const [x, members] of d3.group(chosenRules(), (rule) => axes(rule)[0])) {
    if (x == null) continue;
    const names = [],
      points = members
        .flatMap((rule) => {
          const y = axes(rule)[1],
            kept = left(rule, x, y),
            rows = steps(y, kept, x, 2 * COLOURS);
          const name = (values) =>
            y == null ? rule.title : `${rule.title}, ${study.parameters[y].title} ${rangeOf(y, values)}`;
          const lines = new Map(rows.flatMap((values) => values.map((value) => [value, name(values)])));
          names.push(...rows.map(name));
          return [...inCells(kept, x, y, steps(x, kept), rows).values()].map((one) => ({
            one,
            x: study.values[x][one.values[x]],
            line: lines.get(y == null ? -1 : one.values[y]),
            ...summary(one),
          }));
        })
        .sort((a, b) => d3.ascending(a.x, b.x));
    if (!points.length) continue;
    drawn.push(...linePicture(x, points, names));
  }
  return drawn.length ? drawn : [nothing()];
}

function linePicture(x, points, names) {
  const parameter = study.parameters[x],
    measure = study.measure(state.measure),
    lines = names.filter((name) => points.some(({ line }) => line === name));
  const { scale, hidden } = scaleOf(
    points.flatMap((point) => [point.low, point.high, point.mean]),
    `\u2191 ${measure.title}`,
  );
  const shade = (point) => strokeAt(lines.indexOf(point.line)).stroke;
  const xs = study.values[x].filter((value) => points.some((point) => point.x === value)),
    log = xs[0] > 0 && xs.at(-1) / xs[0] > 20;
  const picture = plot({
    width: widthOf("overview"),
    height: 360,
    marginLeft: 60,
    marginBottom: 42,
    marginTop: 24,
    marginRight: 24,
    ariaLabel: `${measure.title} over ${parameter.title}`,
    x: {
      ...axis(xs[0], xs.at(-1), log),
      label: `${parameter.title} \u2192`,
      ...(xs.length < 9
        ? { ticks: xs, texts: xs.map((value) => parameter.texts[study.values[x].indexOf(value)]) }
        : {}),
    },
    y: scale,
    marks: [
      Plot.areaY(points, { x: "x", y1: "low", y2: "high", z: "line", fill: shade, fillOpacity: 0.14, clip: true }),
      ...lines.map((line, at) =>
        Plot.lineY(
          points.filter((point) => point.line === line),
          {
            x: "x",
            y: "mean",
            ...strokeAt(at),
            strokeWidth: 2,
            clip: true,
          },
        ),
      ),
      Plot.dot(points, { x: "x", y: "mean", fill: shade, r: 3.5, clip: true }),
      Plot.text(
        points.filter((point) => point.diverged.length),
        { x: "x", text: () => "\u2715", frameAnchor: "top", dy: -14, fill: shade },
      ),
      Plot.dot(points, Plot.pointer({ x: "x", y: "mean", stroke: "currentColor", r: 7, strokeWidth: 2 })),
    ],
  });
  picture.addEventListener("input", () => hover(picture.value?.one ?? null));
  picture.addEventListener("click", () => hovered && toggle([hovered]));
  const legend = make(
    "p",
    { class: "legend" },
    ...lines.map((line, at) => make("span", {}, lineKey(strokeAt(at)), line)),
    points.some((point) => point.diverged.length) ? make("span", {}, "\u2715 runs diverged") : null,
  );
  const rows = () =>
    points.map((point) => [
      make("button", { class: "plain", ...pins(point.one) }, point.one.name),
      show(point.mean),
      point.seeds > 1 ? `${show(point.low)} to ${show(point.high)}` : "",
      remark(point.one),
    ]);
  return [
    picture,
    legend,
    cutNote(hidden),
    behind(`${measure.title} over ${parameter.title}`, ["configuration", "mean", "seeds", "remark"], rows),
  ].filter(Boolean);
}
