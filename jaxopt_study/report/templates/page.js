// The whole page: who listens to what, the start, and news while a study trains.

/** All that depends on what is chosen; of runs that measured nothing their table alone. */
function draw() {
  filter();
  if (study.measures.length) {
    drawControls();
    drawOverview();
    drawCurves();
    drawCompare();
  }
  drawRuns();
}

/** That, and what depends on the data and the screen alone; widths are read before anything is drawn, in one layout. */
function drawAll() {
  byId("explore").hidden = !study.measures.length;
  byId("compare-box").hidden = false;
  for (const id of ["best-picture", "overview", "curves", "compare"]) widths.set(id, byId(id)?.clientWidth || 640);
  drawBest();
  draw();
}

function listen() {
  for (const id of ["measure", "last", "x", "y", "over", "a", "b"])
    byId(id).addEventListener("change", (event) => {
      change({ [id]: event.target.value });
      draw();
    });
  for (const id of ["log", "cut", "seeds"])
    byId(id).addEventListener("change", (event) => {
      change({ [id]: event.target.checked ? "1" : "" });
      draw();
    });
  for (const button of byId("views").children)
    button.addEventListener("click", () => {
      change({ view: button.value });
      draw();
    });
  listenToPins(byId("overview"));
  let waiting;
  byId("find").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      change({ find: event.target.value });
      rowsShown = PAGE;
      draw();
    }, 120);
  });
  byId("ranges").parentElement.addEventListener("toggle", drawControls);
  byId("unpin").addEventListener("click", () => {
    change({ pins: "" });
    draw();
  });
  byId("more").addEventListener("click", () => {
    rowsShown += 4 * PAGE;
    drawRuns();
  });
  byId("card").addEventListener("close", () => change({ run: "" }));
  byId("close").addEventListener("click", () => byId("card").close());
  byId("copy").addEventListener("click", async (event) => {
    const copied = await navigator.clipboard?.writeText(location.href).then(
      () => true,
      () => false,
    );
    byId("copied").textContent = copied ? "copied" : location.href;
    event.target.focus();
  });
  window.addEventListener("hashchange", () => {
    if (location.hash.startsWith("#view?")) {
      fromAddress();
      draw();
    } else openTarget();
  });
  let shut = [];
  window.addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll("#claims details, #figures details, .part")].filter((each) => !each.open);
    for (const each of shut) each.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const each of shut) each.open = false;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth;
  window.addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      clearTimeout(waiting);
      waiting = setTimeout(drawAll, 150);
    }
  });
}

/** A link to what lies in something closed opens it. */
function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  target?.scrollIntoView();
}

// While the study trains: the same page again, without a new start.

async function follow() {
  const address = new URL("update", location.href);
  address.search = location.search;
  let version = "";
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 2000));
    try {
      address.searchParams.set("have", version);
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(answer.statusText);
      if (answer.status === 200) {
        const news = await answer.json();
        version = news.version;
        const page = new DOMParser().parseFromString(news.page, "text/html");
        document.title = page.title;
        for (const id of ["title", "links", "answer", "claims", "progress"]) {
          const now = byId(id),
            then = page.getElementById(id);
          if (now && then) fill(now, ...then.childNodes);
          else if (then) byId("figures").before(then);
        }
        study = await load(page.getElementById("study").textContent);
        hovered = study.byId.get(hovered?.id) ?? null;
        if (begun) {
          checkMeasure();
          pinUsual();
          drawAll();
        } else begin();
      }
      byId("lost").hidden = true;
    } catch {
      byId("lost").hidden = false;
    }
  }
}

let begun = false;
let usual = ""; // the configurations that are pinned where nobody chose any

/** The best of each rule, or the best few of the one; of runs that are all under way the best few. */
function pinUsual() {
  if (state.pins !== usual) return;
  const ranked = d3.sort(study.configurations, (one) => one.rank);
  const several = ranked.filter((one) => one.best && one.usable);
  const few = ranked.filter((one) => one.usable && one.rule === listed(state.rules)[0]).slice(0, 4);
  const chosen = several.length > 1 ? several.slice(0, COLOURS) : few.length ? few : ranked.slice(0, 4);
  state.pins = usual = listing(chosen.map((one) => one.id));
}

/** Once there are runs: what the address says of them, and else what is usual. */
function begin() {
  if (begun || !study.runs.of.length) return;
  begun = true;
  const given = fromAddress(),
    varied = study.rules.filter((rule) => rule.varied.length).flatMap((rule) => rule.of);
  const best = d3.least(varied.length ? varied : study.configurations, (one) => one.rank);
  if (!state.rules) state.rules = listing([best.rule]);
  if (given) usual = null;
  pinUsual();
  byId("ranges").parentElement.open = state.ranges !== "";
  byId("runs").hidden = byId("copy-box").hidden = false;
  listen();
  drawAll();
  const run = d3
    .range(study.runs.of.length)
    .find((each) => idOf(study.configurations[study.runs.of[each]], each) === state.run);
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
