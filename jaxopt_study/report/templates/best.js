// The first picture: the best of each optimizer.

/** The best of each optimizer with its interval, beside the answer; the table below it has the same numbers. */
function drawBest() {
  const place = byId("best-picture"),
    all = study.best.map((one, at) => ({ ...one, at }));
  if (!place || all.length < 2) return;
  const values = all.map((one) => one.value),
    ends = all.flatMap((one) => [one.low, one.high]).filter((end) => end != null);
  const [least, most] = d3.extent(values),
    room = most - least || Math.abs(most) || 1;
  const low = Math.max(d3.min([...values, ...ends]), least > 0 ? least / 2 : least - room),
    high = Math.min(d3.max([...values, ...ends]), least > 0 ? 2 * most : most + room);
  const log = low > 0 && high > 4 * low,
    measure = study.measure("val_loss"),
    domain = log ? [low, high] : d3.nice(low, high, 4);
  // An interval that goes on beyond the axis has an arrowhead there.
  const cut = all.flatMap((one) => [
    ...(one.low != null && one.low < domain[0] ? [{ at: one.at, end: domain[0], rotate: -90 }] : []),
    ...(one.high != null && one.high > domain[1] ? [{ at: one.at, end: domain[1], rotate: 90 }] : []),
  ]);
  const beyond = cut.length
    ? "An arrowhead: the interval goes on beyond the picture, as far as the table below says."
    : "";
  const name = (at) => (all[at].rule.length > 20 ? `${all[at].rule.slice(0, 19)}\u2026` : all[at].rule);
  const tone = (one) => (one.at ? "var(--muted)" : "var(--c0)");
  place.replaceChildren(
    plot({
      width: widthOf("best-picture"),
      height: 64 + 28 * all.length,
      marginLeft: 18 + 7.6 * d3.max(all, (one) => name(one.at).length),
      marginRight: 52,
      marginBottom: 38,
      marginTop: 8,
      insetLeft: cut.length ? 8 : 0,
      insetRight: cut.length ? 8 : 0,
      ariaLabel:
        `The best of each optimizer: ${measure.title}${ends.length ? " with 95% intervals" : ""}, as in the table below. ${beyond}`.trim(),
      x: {
        ...axis(...domain, log, measure, 4),
        label: `${measure.title}${measure.unit ? ` (${measure.unit})` : ""}${ends.length ? ", 95% interval" : ""} \u2192`,
      },
      y: { type: "point", padding: 0.7, domain: all.map((one) => one.at), label: null, tickSize: 0, tickFormat: name },
      marks: [
        Plot.ruleY(
          all.filter((one) => one.low != null),
          { y: "at", x1: "low", x2: "high", stroke: tone, strokeWidth: 7, strokeOpacity: 0.28, clip: true },
        ),
        Plot.dot(cut, { x: "end", y: "at", symbol: "triangle", rotate: "rotate", fill: tone, r: 5 }),
        Plot.dot(all, { x: "value", y: "at", fill: tone, r: 5.5 }),
        Plot.text(all, {
          y: "at",
          text: (one) => short(one.value, measure),
          frameAnchor: "right",
          textAnchor: "start",
          dx: 8,
          fill: tone,
          fontWeight: 600,
        }),
      ],
    }),
    ...(beyond ? [make("p", { class: "note" }, beyond)] : []),
  );
}
