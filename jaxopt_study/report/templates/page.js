// What surrounds the pictures: the runs, a run's card, the controls, a study that still trains, and the start.

// ---- All runs, and one of them

const PAGE = 50;
let rowsShown = PAGE;

function columns() {
  const varied = study.parameters.map((_, at) => at).filter((at) => study.rules.some((rule) => rule.varied.includes(at)));
  const of = (run) => study.configurations[study.runs.of[run]];
  return [
    ["optimizer", (run) => of(run).title], ...varied.map((p) => [study.parameters[p].title, (run) => study.values[p][of(run).values[p]], (run) => study.parameters[p].texts[of(run).values[p]] ?? ""]),
    ["seed", (run) => study.runs.seed[run]], ...(study.runs.data_seed ? [["data seed", (run) => study.runs.data_seed[run]]] : []), ["status", (run) => study.runs.status[run]],
    ...study.measures.filter((one) => one.loss || one.more).map((one) => [one.title, (run) => study.score(one.name, run, state.last), (run) => show(study.score(one.name, run, state.last), one)]),
    ["best epoch", (run) => study.runs.best_epoch[run]], ["epochs", (run) => study.runs.epochs[run]], ["diverged at", (run) => study.runs.diverged[run]],
  ];
}

function drawRuns() {
  const all = columns(), [, place = "", way = ""] = /^(\d+)(-?)$/.exec(state.sort) ?? [];
  let runs = [...visible];
  const missing = (value) => value == null || Number.isNaN(value);
  if (place && all[place]) {
    const of = all[place][1], order = way ? d3.descending : d3.ascending;
    runs.sort((a, b) => missing(of(a)) - missing(of(b)) || order(of(a), of(b)) || a - b);
  }
  const heads = all.map(([title], at) => make("th", { scope: "col", "aria-sort": String(at) === place ? (way ? "descending" : "ascending") : null }, make("button", { type: "button", onclick: () => { change({ sort: state.sort === String(at) ? `${at}-` : String(at) }); drawRuns(); } }, title)));
  const rows = runs.slice(0, rowsShown).map((run) => make("tr", { "data-run": run }, ...all.map(([, value, text], at) => {
    const told = String((text ?? value)(run) ?? "");
    return at === 0 ? make("th", { scope: "row" }, make("button", { type: "button", class: "plain", onclick: () => openRun(run) }, told)) : make("td", { class: typeof value(run) === "number" ? "number" : null }, told);
  })));
  byId("runs-count").textContent = `${runs.length.toLocaleString("en")} of ${counted(study.runs.of.length, "run")}`;
  fill(byId("runs-table"), make("caption", { class: "hidden" }, "Runs"), make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  byId("more").hidden = runs.length <= rowsShown;
}

/** A run's own card: how it ended, its file, how to repeat it, and all of its curves. */
function openRun(run) {
  const one = study.configurations[study.runs.of[run]], card = byId("card"), all = study.runs;
  const given = study.parameters.map((p, at) => [p, at]).filter(([, at]) => one.values[at] >= 0);
  const facts = [["status", all.status[run] + (all.reason?.[run] ? `: ${all.reason[run]}` : "")], ["seed", all.seed[run]], ...(all.data_seed ? [["data seed", all.data_seed[run]]] : []), ["epochs", all.epochs[run]], ["best epoch", all.best_epoch[run] ?? "–"], ["diverged in epoch", all.diverged[run] ?? "–"], ...given.map(([p, at]) => [p.title, p.texts[one.values[at]]]), ...study.measures.map((each) => [each.title, show(study.score(each.name, run), each)])];
  const numbers = given.map(([p, at]) => [p.name, study.values[at][one.values[at]]]);
  const repeat = study.again ? `printf '%s\\n' '[[grid]]' 'optimizer = "${one.rule}"' 'points = [{ ${numbers.map(([name, value]) => `${name} = ${value}`).join(", ")} }]' > one.toml\n${study.again} --grid=one.toml --seeds=${all.seed[run] + 1} --workdir=workdir/again` : `js.make_grid("${one.rule}", ${numbers.map(([name, value]) => `${name}=${value}`).join(", ")})  # the grid; seeds=${all.seed[run] + 1}`;
  const small = study.measures.map((measure) => {
    const rows = band([run], measure.name);
    if (!rows.length) return null;
    const log = state.log && !measure.share && rows.every((row) => row.mean > 0);
    return make("figure", {}, make("figcaption", {}, measure.title), plot({ width: 260, height: 150, marginLeft: 48, marginBottom: 26, marginTop: 8, ariaLabel: `${measure.title} over the epochs`, x: { label: null, ticks: 4, tickFormat: "d" }, y: { ...axis(...d3.extent(rows, (row) => row.mean), log, measure, 4), label: null }, marks: [Plot.lineY(rows, { x: "epoch", y: "mean", stroke: "var(--c0)", strokeWidth: 1.8 }), rows.length < 3 ? Plot.dot(rows, { x: "epoch", y: "mean", fill: "var(--c0)" }) : null] }));
  });
  const every = () => study.epochs.filter((epoch) => epoch <= all.epochs[run]).map((epoch, at) => [String(epoch), ...study.measures.map((each) => show(study.curve(each.name, run)[at], each))]);
  byId("card-title").textContent = `${one.name}, seed ${all.seed[run]}`;
  byId("card-body").replaceChildren(
    make("dl", { class: "lines" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value))))),
    make("div", { class: "small" }, ...small), behind("All curves", ["epoch", ...study.measures.map((each) => each.title)], every),
    make("h3", {}, "Again"), make("pre", { tabindex: 0 }, repeat), all.file[run] ? make("p", { class: "file" }, "File: ", make("code", {}, `runs/${all.file[run]}.parquet`)) : null);
  change({ run: idOf(one, run) });
  if (!card.open) card.showModal();
}

// ---- What is chosen with

const options = (id, entries, value) => byId(id).replaceChildren(...entries.map(([name, text]) => make("option", { value: name, selected: name === value }, text)));

function drawControls() {
  const rules = chosenRules(), varied = [...new Set(rules.flatMap((rule) => rule.varied))], titled = varied.map((p) => [study.parameters[p].name, study.parameters[p].title]);
  options("measure", study.measures.map((one) => [one.name, one.title]), state.measure);
  options("last", [["", "at its best"], ["1", "last epoch"]], state.last);
  const [x, y] = axes(d3.greatest(rules, (rule) => rule.varied.length)), nameOf = (p) => study.parameters[p]?.name ?? "";
  options("x", titled, nameOf(x));
  options("y", [["-", "none"], ...titled], y == null ? "-" : nameOf(y));
  byId("x").parentElement.hidden = byId("y").parentElement.hidden = state.view === "parallel";
  byId("y").previousElementSibling.textContent = state.view === "line" ? "A line for each" : "Down";
  for (const name of ["log", "cut", "seeds"]) byId(name).checked = Boolean(state[name]);
  if (byId("find").value !== state.find) byId("find").value = state.find;
  for (const button of byId("views").children) button.setAttribute("aria-pressed", button.value === state.view);
  fill(byId("rules"), ...study.rules.map((rule) => make("button", {
    type: "button", "aria-pressed": String(rules.includes(rule)), onclick: () => {
      const names = rules.includes(rule) && rules.length > 1 ? rules.filter((one) => one !== rule) : [...rules.filter((one) => one !== rule), rule];
      change({ rules: listing(names.map((one) => one.name)) });
      draw();
    },
  }, rule.title)));
  byId("rules-box").hidden = study.rules.length < 2;
  const slices = pairs(state.slices), ranges = pairs(state.ranges), rest = state.view === "map" || state.view === "line" ? varied.filter((p) => rules.some((rule) => rule.varied.includes(p) && !axes(rule).includes(p))) : [];
  const pick = (p, value, empty, kept, label = study.parameters[p].title) => make("select", { "aria-label": label, onchange: (event) => { kept(event.target.value); draw(); } }, make("option", { value: "" }, empty), ...study.parameters[p].texts.map((text, at) => make("option", { value: at, selected: String(at) === value }, text)));
  fill(byId("slices"), ...rest.map((p) => make("label", {}, study.parameters[p].title, pick(p, slices.get(nameOf(p))?.[0], "the best", (value) => { if (value) slices.set(nameOf(p), [value]); else slices.delete(nameOf(p)); change({ slices: joined(slices) }); }))));
  fill(byId("ranges"), ...varied.map((p) => make("fieldset", {}, make("legend", {}, study.parameters[p].title), ...[0, 1].map((end) => {
    const field = pick(p, ranges.get(nameOf(p))?.[end], end ? "highest" : "lowest", (value) => { const ends = ranges.get(nameOf(p)) ?? ["", ""]; ends[end] = value; ranges.set(nameOf(p), ends); change({ ranges: joined(ranges) }); });
    field.ariaLabel = `${study.parameters[p].title}, ${end ? "at most" : "at least"}`;
    return field;
  }))));
}

/** The best of each optimizer with its interval, beside the answer; the table below it has the same numbers. */
function drawBest() {
  const place = byId("best-picture"), all = study.best.map((one, at) => ({ ...one, at }));
  if (!place || all.length < 2) return;
  const values = all.map((one) => one.value), ends = all.flatMap((one) => [one.low, one.high]).filter((end) => end != null);
  const low = Math.max(d3.min([...values, ...ends]), d3.min(values) / 2), high = Math.min(d3.max([...values, ...ends]), 2 * d3.max(values));
  const log = low > 0 && high > 4 * low, measure = study.measure("val_loss");
  const name = (at) => (all[at].rule.length > 20 ? `${all[at].rule.slice(0, 19)}\u2026` : all[at].rule);
  const tone = (one) => (one.at ? "var(--muted)" : "var(--c0)");
  place.replaceChildren(plot({
    width: widthOf("best-picture"), height: 64 + 28 * all.length, marginLeft: 18 + 7.6 * d3.max(all, (one) => name(one.at).length), marginRight: 52, marginBottom: 38, marginTop: 8,
    ariaLabel: `The best of each optimizer: ${measure.title} with 95% intervals, as in the table below`,
    x: { ...axis(...(log ? [low, high] : d3.nice(low, high, 4)), log, measure, 4), label: `${measure.title}${measure.unit ? ` (${measure.unit})` : ""}, 95% interval \u2192` },
    y: { type: "point", padding: 0.7, domain: all.map((one) => one.at), label: null, tickSize: 0, tickFormat: name },
    marks: [
      Plot.ruleY(all.filter((one) => one.low != null), { y: "at", x1: "low", x2: "high", stroke: tone, strokeWidth: 7, strokeOpacity: 0.28, clip: true }),
      Plot.dot(all, { x: "value", y: "at", fill: tone, r: 5.5 }), Plot.text(all, { x: high, y: "at", text: (one) => short(one.value, measure), textAnchor: "start", dx: 8, fill: tone, fontWeight: 600 }),
    ],
  }));
}

/** All that depends on what is chosen. */
function draw() {
  filter();
  drawControls();
  drawOverview();
  drawCurves();
  drawCompare();
  drawRuns();
}

/** That, and what depends on the data and the screen alone; widths are read before anything is drawn, in one layout. */
function drawAll() {
  byId("compare-box").hidden = false;
  for (const id of ["best-picture", "overview", "curves", "compare"]) widths.set(id, byId(id)?.clientWidth || 640);
  drawBest();
  draw();
}

function listen() {
  for (const id of ["measure", "last", "x", "y", "a", "b"]) byId(id).addEventListener("change", (event) => { change({ [id]: event.target.value }); draw(); });
  for (const id of ["log", "cut", "seeds"]) byId(id).addEventListener("change", (event) => { change({ [id]: event.target.checked ? "1" : "" }); draw(); });
  for (const button of byId("views").children) button.addEventListener("click", () => { change({ view: button.value }); draw(); });
  listenToPins(byId("overview"));
  let waiting;
  byId("find").addEventListener("input", (event) => { clearTimeout(waiting); waiting = setTimeout(() => { change({ find: event.target.value }); rowsShown = PAGE; draw(); }, 120); });
  byId("unpin").addEventListener("click", () => { change({ pins: "" }); draw(); });
  byId("more").addEventListener("click", () => { rowsShown += 4 * PAGE; drawRuns(); });
  byId("card").addEventListener("close", () => change({ run: "" }));
  byId("close").addEventListener("click", () => byId("card").close());
  byId("copy").addEventListener("click", async (event) => {
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    byId("copied").textContent = copied ? "copied" : location.href;
    event.target.focus();
  });
  window.addEventListener("hashchange", () => { if (location.hash.startsWith("#view?")) { fromAddress(); draw(); } else openTarget(); });
  let shut = [];
  window.addEventListener("beforeprint", () => { shut = [...document.querySelectorAll("#claims details, #figures details, .part")].filter((each) => !each.open); for (const each of shut) each.open = true; });
  window.addEventListener("afterprint", () => { for (const each of shut) each.open = false; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth;
  window.addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; clearTimeout(waiting); waiting = setTimeout(drawAll, 150); } });
}

/** A link to what lies in something closed opens it. */
function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  target?.scrollIntoView();
}

// ---- While the study trains: the same page again, without a new start

async function follow() {
  const address = new URL("update", location.href);
  address.search = location.search;
  let version = "";
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 2000));
    try {
      address.searchParams.set("have", version);
      const answer = await fetch(address);
      if (answer.status === 200) {
        const news = await answer.json();
        version = news.version;
        const page = new DOMParser().parseFromString(news.page, "text/html");
        document.title = page.title;
        for (const id of ["title", "links", "answer", "claims", "progress"]) {
          const now = byId(id), then = page.getElementById(id);
          if (now && then) now.replaceChildren(...then.childNodes);
          else if (then) byId("figures").before(then);
        }
        study = await load(page.getElementById("study").textContent);
        if (begun) drawAll();
        else begin();
      }
      byId("lost").hidden = true;
    } catch {
      byId("lost").hidden = false;
    }
  }
}

let begun = false;

/** Once there are runs: what the address says of them, and else the best of each rule, or the best few of the one. */
function begin() {
  if (begun || !study.runs.of.length) return;
  begun = true;
  const given = fromAddress();
  const ranked = d3.sort(study.configurations, (one) => one.rank), varied = study.rules.filter((rule) => rule.varied.length).flatMap((rule) => rule.of);
  const best = ranked.find((one) => varied.includes(one)) ?? ranked[0], several = ranked.filter((one) => one.best && one.usable).slice(0, COLOURS);
  if (best && !state.rules) state.rules = listing([best.rule]);
  if (best && !given) state.pins = listing((several.length > 1 ? several : ranked.filter((one) => one.usable && one.rule === best.rule).slice(0, 4)).map((one) => one.id));
  byId("explore").hidden = byId("runs").hidden = byId("copy-box").hidden = false;
  listen();
  drawAll();
  const run = d3.range(study.runs.of.length).find((each) => idOf(study.configurations[study.runs.of[each]], each) === state.run);
  if (run !== undefined) openRun(run);
  else if (location.hash && !given) openTarget();
}

async function start() {
  study = await load(byId("study").textContent);
  begin();
  document.documentElement.dataset.ready = "yes";
  if (document.documentElement.dataset.live) follow();
}

start();
