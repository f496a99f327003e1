// What pictures have in common: sizes, axes, colours.

const widths = new Map(); // of the places of pictures, by their ids
const widthOf = (id) => Math.max(280, widths.get(id));

/**
 * A picture; for a screen reader one thing with a name, beside which a table has the values. Scales that have `texts`
 * have them at their ticks: Plot leaves some of those of logarithmic ones out.
 */
function plot(options) {
  const axes = ["x", "y"]
    .filter((k) => options[k]?.texts)
    .flatMap((k) => {
      const { ticks, texts } = options[k],
        letter = k.toUpperCase();
      return [k === "y" ? Plot.gridY(ticks) : null, Plot[`axis${letter}`](ticks, { text: texts })];
    });
  options.marks.unshift(...axes);
  const picture = Plot.plot({
    className: "plot",
    style: { fontSize: "12px", fontFamily: "inherit", background: "none", overflow: "visible" },
    ...options,
  });
  picture.setAttribute("role", "img");
  for (const part of picture.querySelectorAll("[aria-label], [aria-description]")) {
    part.dataset.mark = part.getAttribute("aria-label");
    for (const name of ["aria-label", "aria-description"]) part.removeAttribute(name);
  }
  return picture;
}

/** An axis from low to high, with so many ticks or some more. */
function axis(low, high, log, measure, count = 5) {
  const ticks = log ? logTicks(low, high, count) : d3.ticks(low, high, count),
    texts = briefly(ticks, measure);
  return { type: log ? "log" : "linear", domain: [low, high], ticks, texts };
}

/** Ticks at round numbers over less than a few decades, where d3's are at all digits; over more at powers of ten. */
function logTicks(low, high, count) {
  if (high / low < 4) return d3.ticks(low, high, count);
  const digits = high / low < 20 ? [1, 2, 3, 5, 7] : high / low < 300 ? [1, 2, 5] : [1],
    powers = d3.range(Math.floor(Math.log10(low)), Math.log10(high) + 1);
  const all = powers
    .flatMap((power) => digits.map((digit) => digit * 10 ** power))
    .filter((value) => value >= low && value <= high);
  return all.filter((_, at) => at % Math.ceil(all.length / (2 * count)) === 0);
}

/** The axis of epochs: whole numbers; of one epoch it is in the middle. */
function epochAxis() {
  const last = study.epochs.at(-1);
  const ticks = last > 1 ? d3.ticks(1, last, 8).filter(Number.isInteger) : [1];
  return { label: "epoch \u2192", domain: last > 1 ? [1, last] : [0.5, 1.5], ticks, tickFormat: "d" };
}

/** The axis of time, in epochs of SGD. */
function timeAxis(bands) {
  const last = d3.max(bands, ({ one, rows }) => (rows.at(-1)?.epoch ?? 1) * pace(one)),
    first = d3.min(bands, ({ one }) => pace(one));
  return { ...axis(first, first === last ? first + 1 : last, false), label: "time, in epochs of SGD \u2192" };
}

/** Where there are too few epochs for a line to be seen: points, and what is a band elsewhere as a bar. */
const asPoints = (rows, fill, more = {}) => [
  Plot.ruleX(
    rows.filter((row) => row.low < row.high),
    { x: "epoch", y1: "low", y2: "high", stroke: fill, strokeOpacity: 0.28, strokeWidth: 7, clip: true, ...more },
  ),
  Plot.dot(rows, { x: "epoch", y: "mean", fill, r: 4.5, ...more }),
];

function scaleOf(values, label) {
  const measure = study.measure(state.measure),
    finite = values.filter(Number.isFinite);
  const log = state.log && !measure.share && d3.min(finite) > 0;
  const sorted = finite.sort(d3.ascending),
    lowest = sorted[0];
  let highest = sorted.at(-1);
  if (state.cut && !measure.more) {
    const usual = d3.quantileSorted(sorted, 0.95) * 1.1,
      guess = measure.loss && study.chance != null ? study.chance * 1.3 : 0;
    highest = Math.min(highest, Math.max(usual, guess));
  }
  const domain = lowest === highest ? [lowest * 0.9, highest * 1.1 + 1e-9] : [lowest, highest];
  const hidden = sorted.filter((value) => value > highest).length;
  return { hidden, scale: { ...axis(...(log ? domain : d3.nice(...domain, 5)), log, measure), label } };
}

const cutNote = (hidden) =>
  hidden
    ? make("p", { class: "note" }, `${counted(hidden, "value")} above the picture; untick “cut outliers” to see them.`)
    : null;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = 8,
  DASHES = [null, "7,3", "2,3", "9,3,2,3", "4,2", "1,2", "12,3", "6,2,1,2"];
/** How the line at a place among others is drawn: the ninth has the first one's colour, but not its dashes. */
const strokeAt = (at) => ({
  stroke: `var(--c${at % COLOURS})`,
  strokeDasharray: DASHES[(at + Math.floor(at / COLOURS)) % DASHES.length] ?? undefined,
});
/** That of a configuration by its place among the pinned ones. */
const strokeOf = (one) => {
  const at = pinned().indexOf(one);
  return at < 0 ? { stroke: "var(--muted)" } : strokeAt(at);
};
const colour = (one) => strokeOf(one).stroke;

/** A piece of a line as it is drawn, for a key. */
function lineKey({ stroke, strokeDasharray }, strokeWidth = 2) {
  const svg = d3.create("svg:svg").attr("class", "swatch").attr("aria-hidden", "true").attr("viewBox", "0 0 36 8");
  const line = svg.append("line").attr("x2", 36).attr("y1", 4).attr("y2", 4).attr("stroke", stroke);
  line.attr("stroke-width", strokeWidth).attr("stroke-dasharray", strokeDasharray ?? null);
  return svg.node();
}

/** Shades from the worst to the best of some numbers, or from the lowest up; no loss above guessing told apart. */
function heat(values, colours = "--heat") {
  const measure = study.measure(state.measure);
  let [low, high] = d3.extent(values.filter(Number.isFinite));
  if (measure.loss && study.chance != null && low < study.chance) high = Math.min(high, study.chance);
  if (low === high) high = low + 1;
  const scale = state.log && low > 0 ? d3.scaleSequentialLog : d3.scaleSequential;
  const shades = scale(
    measure.more === false ? [high, low] : [low, high],
    d3.interpolateRgbBasis(css(colours).split(" ")),
  ).clamp(true);
  return (value) => d3.color(shades(value));
}

/** The light of a shade, from 0 to 1, as WCAG has it. */
const light = ({ r, g, b }) => {
  const [red, green, blue] = [r, g, b].map((c) =>
    c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

/** What can be read on a shade: black and white both have a contrast of 4.6 where it has 18% of white's light. */
const inkOn = (shade) => (light(shade) > 0.179 ? "#000000" : "#ffffff");
