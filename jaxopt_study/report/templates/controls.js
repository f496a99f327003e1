// What is chosen with.

const options = (id, entries, value) =>
  byId(id).replaceChildren(
    ...entries.map(([name, text]) => make("option", { value: name, selected: name === value }, text)),
  );

function drawControls() {
  const rules = chosenRules(),
    varied = [...new Set(rules.flatMap((rule) => rule.varied))],
    titled = varied.map((p) => [study.parameters[p].name, study.parameters[p].title]);
  options(
    "measure",
    study.measures.map((one) => [one.name, one.title]),
    state.measure,
  );
  options(
    "last",
    [
      ["", "at its best"],
      ["1", "last epoch"],
    ],
    state.last,
  );
  byId("over").parentElement.hidden = !Object.keys(study.costs).length;
  options(
    "over",
    [
      ["", "epochs"],
      ["time", "time (SGD's epochs)"],
    ],
    state.over,
  );
  const [x, y] = axes(d3.greatest(rules, (rule) => rule.varied.length)),
    nameOf = (p) => study.parameters[p]?.name ?? "";
  options("x", titled, nameOf(x));
  options("y", [["-", "none"], ...titled], y == null ? "-" : nameOf(y));
  byId("x").parentElement.hidden = byId("y").parentElement.hidden = viewed() === "parallel" || !varied.length;
  byId("views").hidden = byId("ranges").parentElement.hidden = !varied.length;
  byId("seeds").parentElement.hidden = study.configurations.every((one) => one.runs.length < 2);
  byId("y").previousElementSibling.textContent = viewed() === "line" ? "A line for each" : "Down";
  for (const name of ["log", "cut", "seeds"]) byId(name).checked = Boolean(state[name]);
  if (byId("find").value !== state.find) byId("find").value = state.find;
  for (const button of byId("views").children) button.setAttribute("aria-pressed", button.value === viewed());
  fill(
    byId("rules"),
    ...study.rules.map((rule) =>
      make(
        "button",
        {
          type: "button",
          "aria-pressed": String(rules.includes(rule)),
          onclick: () => {
            const names =
              rules.includes(rule) && rules.length > 1
                ? rules.filter((one) => one !== rule)
                : [...rules.filter((one) => one !== rule), rule];
            change({ rules: listing(names.map((one) => one.name)) });
            draw();
          },
        },
        rule.title,
      ),
    ),
  );
  byId("rules-box").hidden = study.rules.length < 2;
  const slices = pairs(state.slices),
    rest =
      viewed() !== "parallel"
        ? varied.filter((p) => rules.some((rule) => rule.varied.includes(p) && !axes(rule).includes(p)))
        : [];
  const pick = (p, value, empty, kept, label = study.parameters[p].title) =>
    make(
      "select",
      {
        "aria-label": label,
        onchange: (event) => {
          kept(event.target.value);
          draw();
        },
      },
      make("option", { value: "" }, empty),
      ...study.parameters[p].texts.map((text, at) =>
        make("option", { value: at, selected: String(at) === value }, text),
      ),
    );
  fill(
    byId("slices"),
    ...rest.map((p) =>
      make(
        "label",
        {},
        study.parameters[p].title,
        pick(p, slices.get(nameOf(p))?.[0], "the best", (value) => {
          if (value) slices.set(nameOf(p), [value]);
          else slices.delete(nameOf(p));
          change({ slices: joined(slices) });
        }),
      ),
    ),
  );
  if (byId("ranges").parentElement.open) drawRanges(varied, pick);
}

/** The lowest and the highest value of each hyperparameter that is left; thousands of options, so only where they are seen. */
function drawRanges(varied, pick) {
  const ranges = pairs(state.ranges),
    nameOf = (p) => study.parameters[p].name;
  fill(
    byId("ranges"),
    ...varied.map((p) =>
      make(
        "fieldset",
        {},
        make("legend", {}, study.parameters[p].title),
        ...[0, 1].map((end) => {
          const field = pick(p, ranges.get(nameOf(p))?.[end], end ? "highest" : "lowest", (value) => {
            const ends = ranges.get(nameOf(p)) ?? ["", ""];
            ends[end] = value;
            ranges.set(nameOf(p), ends);
            change({ ranges: joined(ranges) });
          });
          field.ariaLabel = `${study.parameters[p].title}, ${end ? "at most" : "at least"}`;
          return field;
        }),
      ),
    ),
  );
}
