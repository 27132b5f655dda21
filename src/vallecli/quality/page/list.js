// The list of rows: filters, sorting, cards, and the current row that the keys act on.

const PAGE = 50; // rows that are added at a time
const two = data.runs.length === 2;
const letters = ["A", "B"];

const FILTERS = [
  ["all", "All", () => true],
  ["failed", "Failed", (row) => row.results.some((result) => result && result.status === "failed")],
  ["wrong", "Words wrong", (row) => row.results.some((result) => result && result.scores.errors > 0)],
  ["notes", "With notes", (row) => row.results.some((result) => result && result.notes.length)],
  ["pending", "Not made yet", (row) => row.results.some((result) => result && result.status === "pending")],
  ["single", "Only in one run", (row) => two && row.results.some((result) => !result)],
  ["ok", "OK", (row) => row.results.every((result) => result && result.status === "ok")],
];

const list = {
  filter: "all",
  query: "",
  sort: "number",
  descending: false,
  limit: PAGE,
  rows: [], // those shown, in order
  current: null,
  cards: new Map(),
};

function valueOf(row, sort) {
  if (sort === "number") return row.number;
  if (sort === "id") return row.id;
  const [run, key] = sort.split("/", 2);
  const scores = row.results.map((result) => (result && result.scores[key]) ?? null);
  if (run !== "change") return scores[Number(run)];
  return scores[0] === null || scores[1] === null ? null : scores[1] - scores[0];
}

function compare(left, right) {
  const [a, b] = [valueOf(left, list.sort), valueOf(right, list.sort)];
  if (a === null || b === null) return (a === null) - (b === null) || left.number - right.number; // without: last
  const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return (list.descending ? -order : order) || left.number - right.number;
}

function matches(row) {
  const [, , test] = FILTERS.find(([name]) => name === list.filter);
  const words = `${row.id}\n${row.text}\n${row.speaker}`.toLowerCase();
  return test(row) && words.includes(list.query.toLowerCase().trim());
}

function format(score, value) {
  const number = value.toFixed(score.digits).replace("-", "−");
  return `${number}${score.unit && `\u202f${score.unit}`}`;
}

/** Scores of a result, with a sign at those that are better than in the other run; the recording shows its duration. */
function scoreList(result, other) {
  const shown = data.scores.filter((score) => score.key in result.scores && score.key !== "seconds");
  const items = shown.map((score) => {
    const value = result.scores[score.key];
    const reference = other && other.scores[score.key];
    const lead = score.better && reference !== undefined && reference !== null && value !== reference
      && (value > reference) === (score.better === "high");
    const words = score.key === "wer" ? `${result.scores.errors} of ${result.scores.words} words` : score.explained;
    return make("div", { classes: "score", dataset: { key: score.key }, title: words },
      make("dt", {}, score.label),
      make("dd", {}, format(score, value), lead ? make("span", { classes: "lead" }, " ▲",
        make("span", { classes: "hidden" }, " better")) : null));
  });
  return items.length ? make("dl", { classes: "scores" }, ...items) : null;
}

function hiddenText(text) {
  return make("span", { classes: "hidden" }, text);
}

/** Words as heard; those that differ are marked by lines and signs, and by words for screen readers. */
function heardLine(result) {
  if (result.heard === null) return null;
  const line = make("p", { classes: "heard", dir: "auto" }, make("span", { classes: "tag" }, "Heard"), " ");
  const different = (result.differences || []).filter(([kind]) => kind !== "equal");
  if (result.differences === null) line.append(make("bdi", {}, result.heard));
  else if (!different.length) line.append(make("span", { classes: "same" }, "✓ as written"));
  else {
    for (const [kind, text, heard] of result.differences) {
      if (kind === "equal") line.append(make("bdi", {}, heard));
      else if (kind === "deleted") line.append(make("del", { classes: kind }, hiddenText("missing: "), text));
      else if (kind === "inserted") line.append(make("ins", { classes: kind }, hiddenText("extra: "), heard));
      else {
        line.append(make("span", { classes: kind }, make("del", {}, hiddenText("instead of "), text), " ",
          make("ins", {}, hiddenText(" heard: "), heard)));
      }
      line.append(" ");
    }
  }
  return line;
}

function problems(result) {
  const parts = result.notes.map((note) => make("p", { classes: "note" }, "Note: ", make("bdi", {}, note)));
  if (result.status === "failed") {
    const { code, message, hint } = result.error || { message: "no reason is recorded" };
    parts.unshift(make("div", { classes: "problem" },
      make("p", {}, make("strong", {}, "Failed: "), make("bdi", {}, message)),
      hint && make("p", {}, make("bdi", {}, hint)), code && make("p", { classes: "quiet" }, make("code", {}, code))));
  }
  if (result.status === "pending") parts.unshift(make("p", { classes: "note" }, "This row is not made yet."));
  return parts;
}

function resultColumn(row, result, run, card) {
  const title = two ? `${letters[run]} · ${data.runs[run]}` : "Result";
  let view = null;
  if (result && result.output !== null) {
    view = new ClipView(result.output, title, two ? `${letters[run]} of ${row.id}` : `result of ${row.id}`);
  }
  card.results.push(view);
  if (!result) return make("div", { classes: "column" }, make("p", { classes: "quiet" }, `${title}: no such row`));
  return make("div", { classes: "column result" }, view ? view.element
    : make("p", { classes: "clip-title" }, title), two ? scoreList(result, row.results[1 - run]) : null,
  two ? heardLine(result) : null, ...problems(result));
}

function badge(row) {
  const states = row.results.map((result) => (result ? result.status : "single"));
  if (states.includes("failed")) return make("span", { classes: "badge failed" }, "✕ failed");
  if (states.includes("pending")) return make("span", { classes: "badge" }, "… not made yet");
  if (row.results.some((result) => result && result.notes.length)) {
    return make("span", { classes: "badge noted" }, "! with notes");
  }
  return null;
}

/** Return the card of a row, which is built when it is first shown. */
function cardOf(row) {
  if (list.cards.has(row)) return list.cards.get(row);
  const card = { prompt: null, reference: null, results: [] };
  const clips = make("div", { classes: two ? "clips three" : "clips" });
  const before = make("div", { classes: "column" });
  if (row.prompt !== null) {
    card.prompt = new ClipView(row.prompt, "Prompt", `prompt of ${row.id}`);
    before.append(card.prompt.element);
  }
  if (row.reference !== null) {
    card.reference = new ClipView(row.reference, "Reference", `reference of ${row.id}`);
    before.append(card.reference.element);
  }
  if (before.children.length) clips.append(before);
  clips.append(...row.results.map((result, run) => resultColumn(row, result, run, card)));
  const heading = make("h2", { id: `row-${row.number}` }, make("bdi", {}, row.id));
  card.element = make("li", { classes: "row", tabIndex: -1, "aria-labelledby": heading.id },
    make("div", { classes: "head" }, make("span", { classes: "number", "aria-hidden": "true" }, String(row.number)),
      heading, row.speaker && make("span", { classes: "quiet" }, make("bdi", {}, row.speaker)), badge(row)),
    make("p", { classes: "text", dir: "auto" }, row.text || "(without a text)"),
    two ? null : heardLine(row.results[0]), clips, two ? null : scoreList(row.results[0]));
  card.element.classList.toggle("is-failed", row.results.some((result) => result && result.status === "failed"));
  card.element.addEventListener("focusin", () => setCurrent(row));
  card.element.addEventListener("click", () => setCurrent(row));
  list.cards.set(row, card);
  return card;
}

function setCurrent(row) {
  if (list.current === row) return;
  if (list.current && list.cards.has(list.current)) {
    list.cards.get(list.current).element.removeAttribute("aria-current");
  }
  list.current = row;
  if (row) cardOf(row).element.setAttribute("aria-current", "true");
}

function showRows() {
  list.rows = data.rows.filter(matches).sort(compare);
  const shown = list.rows.slice(0, list.limit);
  $("rows").replaceChildren(...shown.map((row) => cardOf(row).element));
  for (const element of $("rows").querySelectorAll(".score")) {
    element.classList.toggle("sorted", list.sort.endsWith(`/${element.dataset.key}`));
  }
  const left = list.rows.length - shown.length;
  $("more").hidden = !left;
  $("more").textContent = `Show ${Math.min(left, PAGE)} more of ${left}`;
  $("empty").hidden = list.rows.length > 0;
  if (!list.rows.includes(list.current)) setCurrent(null);
}

function applyTools() {
  list.limit = PAGE;
  showRows();
  const best = list.descending ? "descending" : "ascending";
  $("direction").textContent = list.descending ? "↓ high first" : "↑ low first";
  $("direction").setAttribute("aria-label", `Order: ${best}. Change it`);
  announce(`${list.rows.length} of ${data.rows.length} rows`);
}

/** Move to a row: the first one, or `step` rows further. */
function move(step) {
  if (!list.rows.length) return;
  const at = list.rows.indexOf(list.current);
  const target = Math.min(list.rows.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : list.rows.length - 1) : at + step));
  if (target >= list.limit) {
    list.limit = target + PAGE;
    showRows();
  }
  const row = list.rows[target];
  player.stop();
  setCurrent(row);
  const element = cardOf(row).element;
  element.focus({ preventScroll: true });
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
  const failed = row.results.some((result) => result && result.status === "failed");
  announce(`Row ${target + 1} of ${list.rows.length}: ${row.id}${failed ? ", failed" : ""}`);
}

/** Play a recording of the current row: its prompt, its reference, or the result of a run. */
function playCurrent(what) {
  if (!list.current) move(1);
  if (!list.current) return;
  const card = cardOf(list.current);
  const view = typeof what === "string" ? card[what] : card.results[what];
  if (view) view.play();
  else announce(`${list.current.id} has no ${typeof what === "string" ? what : "result"} to play`);
}

function setUpSorting() {
  const select = $("sort");
  select.append(new Option("Table order", "number"), new Option("Name", "id"));
  const groups = two ? [["0", `A · ${data.runs[0]}`], ["1", `B · ${data.runs[1]}`], ["change", "Change from A to B"]]
    : [["0", null]];
  for (const [run, title] of groups) {
    const options = data.scores.map((score) => new Option(score.label, `${run}/${score.key}`));
    select.append(...(title ? [make("optgroup", { label: title }, ...options)] : options));
  }
  select.addEventListener("change", () => {
    list.sort = select.value;
    const [run, key] = list.sort.split("/", 2);
    const score = data.scores.find((entry) => entry.key === key);
    list.descending = Boolean(score) && score.better !== "high" && run !== "change"; // the worst first
    applyTools();
  });
  $("direction").addEventListener("click", () => {
    list.descending = !list.descending;
    applyTools();
  });
}

function setUpFilters() {
  for (const [name, label, test] of FILTERS) {
    const count = data.rows.filter(test).length;
    if (name !== "all" && (!count || count === data.rows.length)) continue;
    const button = make("button", { type: "button", dataset: { filter: name }, "aria-pressed": String(name === "all") },
      `${label} `, make("span", { classes: "count" }, String(count)));
    button.addEventListener("click", () => {
      list.filter = name;
      for (const each of $("filters").children) each.setAttribute("aria-pressed", String(each === button));
      applyTools();
    });
    $("filters").append(button);
  }
  $("filters").hidden = $("filters").children.length < 2;
  $("query").addEventListener("input", () => {
    list.query = $("query").value;
    applyTools();
  });
  $("more").addEventListener("click", () => {
    const first = list.rows[list.limit];
    list.limit += PAGE;
    showRows();
    cardOf(first).element.focus();
  });
}

/** Means over the rows of each run; the word error rate is that of all words together. */
function setUpTotals() {
  for (const [run, name] of data.runs.entries()) {
    const results = data.rows.map((row) => row.results[run]).filter((result) => result && result.status === "ok");
    for (const score of data.scores) {
      const found = results.filter((result) => score.key in result.scores);
      if (!found.length || (!score.better && score.key !== "seconds")) continue;
      const sum = (key) => found.reduce((total, result) => total + result.scores[key], 0);
      const mean = score.key === "wer" ? (100 * sum("errors")) / sum("words") : sum(score.key) / found.length;
      const id = `total-${score.key}`;
      if (!$(id)) {
        $("totals").append(make("div", { id, title: score.explained },
          make("dt", {}, `${score.label}${score.key === "wer" ? "" : ", mean"}`)));
      }
      $(id).append(make("dd", {}, two ? make("span", { classes: "quiet" }, `${letters[run]} `) : null,
        format(score, mean)));
    }
  }
}
