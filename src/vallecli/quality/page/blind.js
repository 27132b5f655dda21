// The blind test of two runs: pairs in random order, names hidden until the end, votes saved as JSON.

const QUESTIONS = {
  quality: "Which one sounds better?",
  natural: "Which one sounds more natural?",
  voice: "Whose voice is more like the prompt?",
};
const VOTES = { first: "The first", second: "The second", none: "No difference" };
const VOTE_KEYS = { first: "f", second: "s", none: "n" };

function shuffled(items) {
  const order = [...items];
  for (let left = order.length - 1; left > 0; left--) {
    const other = randomBelow(left + 1);
    [order[left], order[other]] = [order[other], order[left]];
  }
  return order;
}

/** Return a whole random number below a limit, without a bias. */
function randomBelow(limit) {
  const most = 2 ** 32 - (2 ** 32 % limit);
  for (;;) {
    const [value] = crypto.getRandomValues(new Uint32Array(1));
    if (value < most) return value % limit;
  }
}

const blind = {
  open: false,
  session: null, // {question, started, pairs: [{row, first}], votes: [{vote, seconds}]}; `first` is the run heard first
  views: [],
  prompt: null,
  shownAt: 0,

  get playableRows() {
    const plays = (result) => result && result.output !== null && !data.clips[result.output].error;
    return data.rows.filter((row) => row.results.every(plays));
  },

  /** Return the stored session of this page, if it fits its rows. */
  restore() {
    const found = store.get(`votes-${data.key}`);
    const numbers = new Set(this.playableRows.map((row) => row.number));
    const fits = found && found.question in QUESTIONS && Array.isArray(found.pairs) && Array.isArray(found.votes)
      && found.pairs.every((pair) => numbers.has(pair.row) && (pair.first === 0 || pair.first === 1))
      && found.pairs.length === numbers.size && found.votes.every((entry) => entry.vote in VOTES);
    return fits ? found : null;
  },

  begin(question) {
    this.session = {
      question,
      started: new Date().toISOString(),
      pairs: shuffled(this.playableRows).map((row) => ({ row: row.number, first: randomBelow(2) })),
      votes: [],
    };
    this.save();
    this.show();
  },

  save() {
    this.stored = store.set(`votes-${data.key}`, this.session);
  },

  show() {
    this.session ??= this.restore();
    player.stop();
    this.views = [];
    this.prompt = null;
    if (!this.session) this.showStart();
    else if (this.session.votes.length < this.session.pairs.length) this.showPair();
    else this.showEnd();
  },

  fill(...children) {
    $("blind").replaceChildren(...children.filter(Boolean));
    const heading = $("blind").querySelector("h2");
    heading.tabIndex = -1;
    heading.focus();
  },

  showStart() {
    const count = this.playableRows.length;
    if (!count) return this.fill(make("h2", {}, "Blind test"), make("p", {}, "No row has a result in both runs."));
    const choices = Object.entries(QUESTIONS).map(([name, text], index) => make("label", {},
      make("input", { type: "radio", name: "question", value: name, checked: index === 0 }), ` ${text}`));
    const start = make("button", { type: "button", classes: "main" }, `Start with ${count} pairs`);
    start.addEventListener("click", () => {
      this.begin($("blind").querySelector("input:checked").value);
    });
    return this.fill(make("h2", {}, "Blind test"),
      make("p", {}, "Each pair is one text spoken by both runs, in random order. Which run is which is shown at the end."),
      make("fieldset", {}, make("legend", {}, "Question"), ...choices), start);
  },

  showPair() {
    const { pairs, votes, question } = this.session;
    const pair = pairs[votes.length];
    const row = data.rows.find((each) => each.number === pair.row);
    const runs = [pair.first, 1 - pair.first];
    if (row.prompt !== null) this.prompt = new ClipView(row.prompt, "Prompt", "the prompt", { named: false, key: "p" });
    this.views = runs.map((run, place) => new ClipView(row.results[run].output, place ? "Second" : "First",
      place ? "the second recording" : "the first recording", { named: false, key: String(place + 1) }));
    const buttons = Object.entries(VOTES).map(([vote, label]) => {
      const button = make("button", { type: "button", classes: "vote", dataset: { vote } }, `${label} `,
        make("kbd", {}, VOTE_KEYS[vote]));
      button.addEventListener("click", () => this.vote(vote));
      return button;
    });
    const undo = make("button", { type: "button", disabled: !votes.length }, "Undo ", make("kbd", {}, "u"));
    undo.addEventListener("click", () => this.undo());
    this.shownAt = performance.now();
    this.fill(make("p", { classes: "quiet" }, `Pair ${votes.length + 1} of ${pairs.length}`),
      make("progress", { max: pairs.length, value: votes.length, "aria-label": "Votes" }),
      make("h2", {}, QUESTIONS[question]),
      make("p", { classes: "text", dir: "auto" }, row.text),
      this.prompt && make("div", { classes: "clips one" }, this.prompt.element),
      make("div", { classes: "clips" }, ...this.views.map((view) => view.element)),
      make("div", { classes: "votes", role: "group", "aria-label": QUESTIONS[question] }, ...buttons),
      make("div", { classes: "ends" }, undo,
        this.stored === false ? this.saveButton("Save the votes so far", !votes.length) : null),
      this.stored === false
        ? make("p", { classes: "quiet" }, "This browser stores nothing for the page: save the votes before it is closed.")
        : null);
  },

  showEnd() {
    const { votes } = this.session;
    const report = this.report();
    const again = make("button", { type: "button" }, "Start again");
    again.addEventListener("click", () => {
      this.session = null;
      store.set(`votes-${data.key}`, null);
      this.show();
    });
    const undo = make("button", { type: "button" }, "Undo ", make("kbd", {}, "u"));
    undo.addEventListener("click", () => this.undo());
    const bars = [...data.runs.map((name, run) => [`${letters[run]} · ${name}`, report.totals[run]]),
      ["No difference", report.totals[2]]];
    this.fill(make("h2", {}, "Result"), make("p", { classes: "quiet" }, report.question),
      make("dl", { classes: "outcome" }, ...bars.map(([name, count]) => make("div", {},
        make("dt", {}, make("bdi", {}, name)),
        make("dd", {}, make("progress", { max: votes.length, value: count, "aria-label": name }),
          ` ${count} of ${votes.length}`)))),
      make("div", { classes: "ends" }, this.saveButton("Save the votes", false, "main"), undo, again));
  },

  saveButton(label, disabled, classes = "") {
    const button = make("button", { type: "button", classes, disabled }, label);
    button.addEventListener("click", () => {
      const url = URL.createObjectURL(new Blob([JSON.stringify(this.report(), null, 1)], { type: "application/json" }));
      make("a", { href: url, download: `votes-${data.key}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
      announce("The votes are saved");
    });
    return button;
  },

  /** Return what is saved: the votes with the runs that were heard first and second. */
  report() {
    const { question, started, pairs, votes } = this.session;
    const totals = [0, 0, 0]; // for A, for B, for neither
    const listed = votes.map(({ vote, seconds }, index) => {
      const { row, first } = pairs[index];
      const preferred = vote === "none" ? null : vote === "first" ? first : 1 - first;
      totals[preferred ?? 2] += 1;
      return {
        id: data.rows.find((each) => each.number === row).id,
        first: data.runs[first],
        second: data.runs[1 - first],
        vote,
        preferred: preferred === null ? null : data.runs[preferred],
        preferred_run: preferred === null ? null : letters[preferred],
        seconds,
      };
    });
    return {
      page: data.key,
      question: QUESTIONS[question],
      runs: data.runs,
      started,
      saved: new Date().toISOString(),
      complete: votes.length === pairs.length,
      totals,
      votes: listed,
    };
  },

  play(place) {
    if (this.views[place]) this.views[place].play();
  },

  playPrompt() {
    if (this.prompt) this.prompt.play();
  },

  vote(vote) {
    if (!this.views.length) return;
    if (!this.views.every((view) => view.heard)) return announce("Listen to both recordings first");
    const seconds = Math.round((performance.now() - this.shownAt) / 100) / 10;
    this.session.votes.push({ vote, seconds });
    this.save();
    this.show();
    const left = this.session.pairs.length - this.session.votes.length;
    return announce(left ? `Voted: ${VOTES[vote].toLowerCase()}. ${left} left` : "All pairs are done");
  },

  undo() {
    if (!this.session || !this.session.votes.length) return;
    this.session.votes.pop();
    this.save();
    this.show();
    announce("The last vote is undone");
  },
};
