// The page as a whole: header, views, keys.

const KEYS = [
  ["j", "Next row", "list", () => move(1)],
  ["k", "Previous row", "list", () => move(-1)],
  [" ", two ? "Play or pause A" : "Play or pause the result", "list", () => playCurrent(0)],
  ...(two ? [["a", "Play or pause A", "list", () => playCurrent(0)], ["b", "Play or pause B", "list", () => playCurrent(1)]]
    : []),
  ["p", "Play or pause the prompt", "both", () => (blind.open ? blind.playPrompt() : playCurrent("prompt"))],
  ...(data.rows.some((row) => row.reference !== null)
    ? [["r", "Play or pause the reference", "list", () => playCurrent("reference")]] : []),
  ...(two ? [
    ["1", "Play or pause the first recording", "blind", () => blind.play(0)],
    ["2", "Play or pause the second recording", "blind", () => blind.play(1)],
    ["f", "Vote: the first one", "blind", () => blind.vote("first")],
    ["s", "Vote: the second one", "blind", () => blind.vote("second")],
    ["n", "Vote: no difference", "blind", () => blind.vote("none")],
    ["u", "Undo the last vote", "blind", () => blind.undo()],
  ] : []),
  ["ArrowLeft", "One second back", "both", () => player.skip(-1)],
  ["ArrowRight", "One second further", "both", () => player.skip(1)],
  ["/", "Search", "list", () => $("query").focus()],
  ["?", "Show these keys", "both", () => toggleHelp()],
];
const KEY_NAMES = { " ": "space", ArrowLeft: "←", ArrowRight: "→" };

function toggleHelp() {
  if ($("help").open) $("help").close();
  else $("help").showModal();
}

function setUpKeys() {
  const views = { list: two ? "All rows" : "", both: "", blind: "Blind test" };
  for (const [key, label, view] of KEYS) {
    $("keys").append(make("div", {}, make("dt", {}, make("kbd", {}, KEY_NAMES[key] || key)),
      make("dd", {}, label, views[view] ? make("span", { classes: "quiet" }, ` · ${views[view]}`) : null)));
  }
  $("use-keys").checked = store.get("keys") ?? true;
  $("use-keys").addEventListener("change", () => store.set("keys", $("use-keys").checked));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    const typing = target.closest("input, select, textarea");
    if (typing && event.key === "Escape") target.blur();
    if (typing || !$("use-keys").checked || ($("help").open && event.key !== "?")) return;
    if (event.key === " " && target.closest("button, a")) return; // it presses the button
    const found = KEYS.find(([key, , view]) => key === event.key && (view === "both" || (view === "blind") === blind.open));
    if (!found) return;
    event.preventDefault();
    found[3]();
  });
}

function showView(name) {
  player.stop();
  blind.open = name === "blind";
  $("list").hidden = blind.open;
  $("controls").hidden = blind.open;
  $("blind").hidden = !blind.open;
  $("show-list").setAttribute("aria-pressed", String(!blind.open));
  $("show-blind").setAttribute("aria-pressed", String(blind.open));
  announce("");
  if (blind.open) blind.show();
}

function setUpHeader() {
  const failed = data.rows.filter(FILTERS.find(([name]) => name === "failed")[2]).length;
  const names = data.runs.join(" and ");
  document.title = `${names} – listening page`;
  $("title").replaceChildren(...(two ? [make("bdi", {}, data.runs[0]), make("span", { classes: "quiet" }, " and "),
    make("bdi", {}, data.runs[1])] : [make("bdi", {}, data.runs[0])]));
  const rows = `${data.rows.length} ${data.rows.length === 1 ? "row" : "rows"}`;
  $("summary").textContent = `${rows}, ${failed} failed. Results are generated speech. ` + (data.embedded
    ? "All audio is in this page, as MP3."
    : "The audio is too large for this page, which plays the files beside it: move them together.");
  $("modes").hidden = !two;
  $("legend").hidden = !data.rows.some((row) => row.results.some((result) => result && result.heard !== null));
}

setUpHeader();
setUpTotals();
setUpFilters();
setUpSorting();
setUpKeys();
applyTools();
announce("");
$("show-list").addEventListener("click", () => showView("list"));
$("show-blind").addEventListener("click", () => showView("blind"));
$("show-help").addEventListener("click", toggleHelp);
$("close-help").addEventListener("click", toggleHelp);
$("previous").addEventListener("click", () => move(-1));
$("next").addEventListener("click", () => move(1));
$("play-prompt").addEventListener("click", () => playCurrent("prompt"));
$("play-result").addEventListener("click", () => playCurrent(0));
if (two) $("play-result").textContent = "A";
if (two) {
  const button = make("button", { type: "button", classes: "main", title: "Play B (b)" }, "B");
  button.addEventListener("click", () => playCurrent(1));
  $("controls").append(button);
}
