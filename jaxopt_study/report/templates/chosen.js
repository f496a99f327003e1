// What is said of a configuration, and which is the best.

/** A measure of a configuration: the mean over the seeds that have it, the lowest and the highest. */
function summary(one, name = state.measure, last = state.last) {
  const values = one.runs.map((run) => study.score(name, run, last)).filter(Number.isFinite);
  const diverged = one.runs.filter((run) => study.runs.status[run] === "diverged");
  const mean = d3.mean(values);
  return { mean: mean ?? NaN, low: d3.min(values), high: d3.max(values), seeds: values.length, diverged };
}

/** What a configuration has besides its number, in words: divergence with its epoch, or no better than guessing. */
function remark(one, told = summary(one)) {
  if (told.diverged.length) {
    const epochs = [...new Set(told.diverged.map((run) => study.runs.diverged[run]))].sort((a, b) => a - b);
    const share = told.diverged.length < one.runs.length ? `${told.diverged.length} of ${one.runs.length} ` : "";
    return `${share}diverged, epoch ${epochs.join(", ")}`;
  }
  const statuses = one.runs.map((run) => study.runs.status[run]);
  for (const status of ["running", "failed", "worse than guessing", "halved"]) {
    const count = statuses.filter((each) => each === status).length;
    if (count) return count < statuses.length ? `${count} of ${statuses.length} ${status}` : status;
  }
  return "";
}

/** Whether one is better than another for the measure; in the study's own ranking where nothing says which way is. */
function isBetter(one, other) {
  const { more } = study.measure(state.measure),
    [a, b] = [one, other].map((each) => summary(each).mean);
  if (more == null) return one.rank < other.rank;
  return Number.isNaN(b) ? !Number.isNaN(a) : more ? a > b : a < b;
}

/**
 * The best configuration for the measure among some, by the study's own ranking where that is of this measure; none for
 * a measure of which nothing says whether more is better.
 */
function bestOf(some) {
  const usable = some.filter((one) => one.usable);
  if (state.measure === "val_loss" && !state.last) return d3.least(usable, (one) => one.rank);
  if (study.measure(state.measure).more == null) return undefined;
  return usable.reduce((best, one) => (!best || isBetter(one, best) ? one : best), undefined);
}

/** Configurations of a rule that the filter leaves, and the slices of what is on no axis. */
function left(rule, x, y) {
  const slices = pairs(state.slices);
  return rule.of.filter(
    (one) =>
      one.runs.some((run) => visible.has(run)) &&
      rule.varied.every((p) => {
        const slice = slices.get(study.parameters[p].name);
        return p === x || p === y || !slice || one.values[p] === +slice[0];
      }),
  );
}

/** The parameters on the axes of a rule: as chosen, else its first two; null where it has none. */
function axes(rule) {
  const at = (name) => rule.varied.find((p) => study.parameters[p].name === name);
  const x = at(state.x) ?? rule.varied.find((p) => study.parameters[p].name !== state.y) ?? null;
  const y = state.y === "-" ? null : (at(state.y) ?? rule.varied.find((p) => p !== x) ?? null);
  return [x, y];
}
