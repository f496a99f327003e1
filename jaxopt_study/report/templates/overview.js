// All configurations at once: a map, lines over a hyperparameter, or parallel coordinates.

function drawOverview() {
  const place = byId("overview");
  const draw = { map: drawMaps, line: drawLines, parallel: drawParallel }[state.view] ?? drawMaps;
  place.replaceChildren(...draw());
  markPins();
}

function toggle(ones, only) {
  const before = only ? [] : listed(state.pins);
  const ids = ones.map((one) => one.id);
  const pins = ids.every((id) => before.includes(id)) ? before.filter((id) => !ids.includes(id)) : [...new Set([...before, ...ids])];
  change({ pins: pins.join("|") });
  markPins();
  drawCurves();
  drawCompare();
}

/** Shows on every button of a configuration whether it is pinned. */
function markPins() {
  for (const button of document.querySelectorAll("[data-of]")) {
    const one = study.configurations[button.dataset.of], on = pinned().includes(one);
    button.setAttribute("aria-pressed", on);
    button.style.outlineColor = on ? colour(one) : "";
  }
}

function hover(one) {
  if (hovered === one) return;
  hovered = one;
  drawCurves();
}

const listens = (one) => ({
  "data-of": one.at, "aria-pressed": "false", type: "button", onclick: () => toggle([one]), onmouseenter: () => hover(one),
  onmouseleave: () => hover(null), onfocus: () => hover(one), onblur: () => hover(null),
});

function drawMaps() {
  const rules = chosenRules(), all = rules.map((rule) => [rule, ...axes(rule)]).map(([rule, x, y]) => ({ rule, x, y, ...places(rule, x, y) }));
  const shade = heat(all.flatMap((one) => [...one.found.values()].map((each) => summary(each).mean)));
  const drawn = all.map((one) => drawMap(one, shade));
  return all.some((one) => one.kept.length) ? drawn : [nothing()];
}

const nothing = () => make("p", { class: "none" }, "No run is left by the filter.");

function drawMap({ rule, x, y, kept, found }, shade) {
  const values = (p) => (p == null ? [0] : [...new Set(kept.map((one) => one.values[p]))].sort((a, b) => a - b));
  const text = (p, value) => (p == null ? "" : study.parameters[p].texts[value] ?? "none"), title = (p) => study.parameters[p]?.title;
  const star = bestOf(kept);
  const line = (p, value) => kept.filter((one) => one.values[p] === value && [...found.values()].includes(one));
  const header = (p, value, scope) => p == null ? make("td") : make("th", { scope }, make("button", {
    type: "button", class: "line", title: `Show the curves of ${title(p)} ${text(p, value)}`, onclick: () => toggle(line(p, value), true),
  }, text(p, value)));
  const corner = make("td", { class: "corner" }, y == null ? "" : make("span", {}, `${title(y)}\u00a0\u2193`), x == null ? "" : make("span", {}, `${title(x)}\u00a0\u2192`));
  const rows = values(y).map((yv) => make("tr", {}, header(y, yv, "row"), ...values(x).map((xv) => {
    const one = found.get(`${x == null ? 0 : xv}/${y == null ? 0 : yv}`);
    return make("td", {}, one ? cell(one, shade, one === star) : make("span", { class: "hidden" }, "not run"));
  })));
  const rest = rule.varied.filter((p) => p !== x && p !== y && !pairs(state.slices).has(study.parameters[p].name));
  const over = rest.length ? `, the best over ${rest.map(title).join(" and ")}` : "";
  const measure = study.measure(state.measure);
  const caption = make("caption", {}, make("b", {}, rule.title), ` ${measure.title}${state.last ? " in the last epoch" : measure.loss ? ", lowest" : " where the validation loss is lowest"}, mean over seeds${over}`);
  const wide = `map${values(x).length > 7 ? " many" : ""}${values(x).length > 12 ? " wide" : ""}${values(y).length < 7 ? " few" : ""}`;
  return make("div", { class: "scroll bare", tabindex: 0, role: "region", "aria-label": `Map of ${rule.title}` },
    make("table", { class: wide, onkeydown: arrows }, caption, make("thead", {}, make("tr", {}, corner, ...values(x).map((xv) => header(x, xv, "col")))), make("tbody", {}, ...rows)));
}

function cell(one, shade, star) {
  const told = summary(one), measure = study.measure(state.measure), said = remark(one, told);
  const known = Number.isFinite(told.mean);
  const range = said || (told.seeds > 1 ? `${short(told.low, measure)}–${short(told.high, measure)}` : "");
  const number = known ? short(told.mean, measure) : "\u2715", words = `${one.name}: ${number} ${range}${star ? ", the best" : ""}`;
  const button = make("button", { class: known ? "cell" : "cell lost", ...listens(one), "aria-label": words, title: words },
    make("b", {}, number, star ? make("span", { "aria-hidden": "true" }, " \u2605") : null), " ", make("small", {}, range));
  if (known) {
    const back = shade(told.mean);
    button.style.backgroundColor = back.formatHex();
    button.style.color = inkOn(back);
  }
  return button;
}

/** Arrow keys go from cell to cell. */
function arrows(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const from = event.target.closest("td, th");
  if (!step || !from) return;
  const rows = [...event.currentTarget.rows], row = rows.indexOf(from.parentElement);
  const next = rows[row + step[0]]?.cells[from.cellIndex + step[1]]?.querySelector("button");
  if (next) { event.preventDefault(); next.focus(); }
}

const widthOf = (place) => Math.max(280, Math.min(place.clientWidth || 640, 1200));

/** A picture; for a screen reader one thing with a name, beside which a table has the values. */
function plot(options) {
  const picture = Plot.plot({ className: "plot", style: { fontSize: "12px", fontFamily: "inherit", background: "none", overflow: "visible" }, ...options });
  picture.setAttribute("role", "img");
  for (const part of picture.querySelectorAll("[aria-label], [aria-description]")) {
    part.dataset.mark = part.getAttribute("aria-label");
    for (const name of ["aria-label", "aria-description"]) part.removeAttribute(name);
  }
  return picture;
}

/** Numbers at which a logarithmic axis has its ticks; undefined where the usual ones do. */
function logTicks(low, high) {
  if (high / low < 4) return d3.ticks(low, high, 5);
  const steps = high / low < 20 ? [1, 2, 3, 5, 7] : [1, 2, 5], powers = d3.range(-9, 6);
  const all = powers.flatMap((power) => steps.map((step) => step * 10 ** power));
  return high / low < 300 ? all.filter((value) => value >= low && value <= high) : undefined;
}

/** How ticks are written; undefined where d3 does it well. */
const ticksOf = (measure, log) => (log || measure.share ? (value) => tick(value, measure) : undefined);

function scaleOf(values, label) {
  const measure = study.measure(state.measure), finite = values.filter(Number.isFinite);
  const log = state.log && !measure.share && d3.min(finite) > 0;
  const sorted = finite.sort(d3.ascending), lowest = sorted[0];
  let highest = sorted.at(-1);
  if (state.cut && !measure.more) {
    const usual = d3.quantileSorted(sorted, 0.95) * 1.1, guess = measure.loss && study.chance != null ? study.chance * 1.3 : 0;
    highest = Math.min(highest, Math.max(usual, guess));
  }
  const domain = lowest === highest ? [lowest * 0.9, highest * 1.1 + 1e-9] : [lowest, highest];
  const hidden = sorted.filter((value) => value > highest).length;
  const ticks = log ? logTicks(...domain) : undefined;
  return { hidden, scale: { type: log ? "log" : "linear", domain, nice: !log, grid: true, label, ticks, tickFormat: ticksOf(measure, log) } };
}

const cutNote = (hidden) => (hidden ? make("p", { class: "note" }, `${counted(hidden, "value")} above the picture; untick “cut outliers” to see them.`) : null);

/** The measure over one hyperparameter, a line for each rule and value of the second. */
function drawLines() {
  const drawn = [];
  for (const [x, members] of d3.group(chosenRules(), (rule) => axes(rule)[0])) {
    if (x == null) continue;
    const points = members.flatMap((rule) => {
      const y = axes(rule)[1], by = (one) => (y == null ? rule.title : `${rule.title}, ${study.parameters[y].title} ${study.parameters[y].texts[one.values[y]] ?? "none"}`);
      return [...places(rule, x, y).found.values()].map((one) => ({ one, x: study.values[x][one.values[x]], line: by(one), ...summary(one) }));
    }).sort((a, b) => d3.ascending(a.x, b.x));
    if (!points.length) continue;
    drawn.push(...linePicture(x, points));
  }
  return drawn.length ? drawn : [nothing()];
}

function linePicture(x, points) {
  const parameter = study.parameters[x], measure = study.measure(state.measure), lines = [...new Set(points.map((point) => point.line))];
  const { scale, hidden } = scaleOf(points.flatMap((point) => [point.low, point.high, point.mean]), `\u2191 ${measure.title}`);
  const shade = (point) => `var(--c${lines.indexOf(point.line) % COLOURS})`;
  const xs = study.values[x].filter((value) => points.some((point) => point.x === value)), log = xs[0] > 0 && xs.at(-1) / xs[0] > 20;
  const picture = plot({
    width: widthOf(byId("overview")), height: 360, marginLeft: 60, marginBottom: 42, marginTop: 24, marginRight: 24, ariaLabel: `${measure.title} over ${parameter.title}`,
    x: { type: log ? "log" : "linear", label: `${parameter.title} \u2192`, ticks: xs.length < 9 ? xs : undefined, tickFormat: (value) => parameter.texts[study.values[x].indexOf(value)] ?? String(value) },
    y: scale,
    marks: [
      Plot.areaY(points, { x: "x", y1: "low", y2: "high", z: "line", fill: shade, fillOpacity: 0.14, clip: true }),
      ...lines.map((line, at) => Plot.lineY(points.filter((point) => point.line === line), { x: "x", y: "mean", stroke: shade, strokeWidth: 2, strokeDasharray: DASHES[Math.floor(at / COLOURS) + (at % COLOURS)], clip: true })),
      Plot.dot(points, { x: "x", y: "mean", fill: shade, r: 3.5, clip: true }),
      Plot.text(points.filter((point) => point.diverged.length), { x: "x", text: () => "\u2715", frameAnchor: "top", dy: -14, fill: shade }),
      Plot.dot(points, Plot.pointer({ x: "x", y: "mean", stroke: "currentColor", r: 7, strokeWidth: 2 })),
    ],
  });
  picture.addEventListener("input", () => hover(picture.value?.one ?? null));
  picture.addEventListener("click", () => hovered && toggle([hovered]));
  const legend = make("p", { class: "legend" }, ...lines.map((line, at) => make("span", { class: `key k${at % COLOURS}` }, line)), points.some((point) => point.diverged.length) ? make("span", {}, "\u2715 runs diverged") : null);
  const rows = () => points.map((point) => [make("button", { class: "plain", ...listens(point.one) }, point.one.name), show(point.mean), point.seeds > 1 ? `${show(point.low)} to ${show(point.high)}` : "", remark(point.one)]);
  return [picture, legend, cutNote(hidden), behind(`${measure.title} over ${parameter.title}`, ["configuration", "mean", "seeds", "remark"], rows)].filter(Boolean);
}

/** A line a configuration through all hyperparameters to the measure. */
function drawParallel() {
  const rules = chosenRules(), measure = study.measure(state.measure);
  const ones = rules.flatMap((rule) => places(rule).kept).filter((one) => Number.isFinite(summary(one).mean));
  if (!ones.length) return [nothing()];
  const parameters = [...new Set(rules.flatMap((rule) => rule.varied))], names = [...parameters.map((p) => study.parameters[p].title), measure.title];
  const { scale } = scaleOf(ones.map((one) => summary(one).mean)), log = scale.type === "log";
  const way = (log ? d3.scaleLog() : d3.scaleLinear()).domain(scale.domain).range([0, 1]).clamp(true);
  const used = new Map(parameters.map((p) => [p, [...new Set(ones.map((one) => one.values[p]))].filter((v) => v >= 0).sort((a, b) => a - b)]));
  const spot = (p, value) => (used.get(p).length > 1 ? used.get(p).indexOf(value) / (used.get(p).length - 1) : 0.5);
  const shade = heat(ones.map((one) => summary(one).mean));
  const points = ones.flatMap((one) => [...parameters.filter((p) => one.values[p] >= 0).map((p) => ({ one, at: study.parameters[p].title, y: spot(p, one.values[p]) })), { one, at: measure.title, y: way(summary(one).mean) }]);
  const ticks = [...parameters.flatMap((p) => thin(used.get(p)).map((value) => ({ at: study.parameters[p].title, y: spot(p, value), text: study.parameters[p].texts[value] }))), ...[0, 0.5, 1].map((y) => ({ at: measure.title, y, text: tick(way.invert(y), measure) }))];
  const marked = points.filter(({ one }) => pinned().includes(one));
  const picture = plot({
    width: widthOf(byId("overview")), height: 400, marginLeft: 50, marginRight: 50, marginTop: 30, marginBottom: 12, ariaLabel: `Hyperparameters and ${measure.title}, a line a configuration`,
    x: { type: "point", domain: names, axis: "top", label: null, tickSize: 0 }, y: { axis: null, domain: [-0.03, 1.03] },
    marks: [
      Plot.ruleX(names, { stroke: "var(--line)" }),
      Plot.line(points, { x: "at", y: "y", z: ({ one }) => one.at, stroke: ({ one }) => shade(summary(one).mean).formatHex(), strokeOpacity: ones.length > 300 ? 0.35 : 0.7, strokeWidth: 1.4, curve: "bump-x" }),
      Plot.line(marked, { x: "at", y: "y", z: ({ one }) => one.at, stroke: ({ one }) => colour(one), strokeWidth: 3, curve: "bump-x" }),
      Plot.text(ticks, { x: "at", y: "y", text: "text", dx: 6, textAnchor: "start", stroke: "var(--page)", strokeWidth: 4, fill: "currentColor" }),
      Plot.dot(points, Plot.pointer({ x: "at", y: "y", stroke: "currentColor", r: 6, strokeWidth: 2 })),
    ],
  });
  picture.addEventListener("input", () => hover(picture.value?.one ?? null));
  picture.addEventListener("click", () => { if (hovered) { toggle([hovered]); drawOverview(); } });
  const rows = () => d3.sort(ones, (one) => (measure.more ? -1 : 1) * summary(one).mean).slice(0, 500).map((one) => [make("button", { class: "plain", ...listens(one) }, one.name), show(summary(one).mean), remark(one)]);
  return [picture, make("p", { class: "note" }, `${counted(ones.length, "configuration")}; hover to see its curves, click to pin.`), behind("Configurations, the best first", ["configuration", measure.title, "remark"], rows)];
}

const thin = (values) => (values.length <= 12 ? values : values.filter((_, at) => at % Math.ceil(values.length / 12) === 0));
