"use strict";
// The browser of runs. Every text of a run is hostile: it goes into text nodes and nowhere else.

const PAGE = 100; // runs that the list shows at a time
const WORDS = 1500; // beyond so many words, answers are compared line by line
const entries = JSON.parse(document.getElementById("index").textContent);
const GRADED = new Set(["right", "wrong"]);
const FILTERS = {
  all: () => true,
  fixed: (one) => one.change === "fixed",
  broken: (one) => one.change === "broken",
  right: (one) => one.outcome === "right",
  wrong: (one) => one.outcome === "wrong",
  "judge failed": (one) => one.judgeFailed,
  failed: (one) => !GRADED.has(one.outcome),
};
const state = { filter: "all", found: [], page: 0, open: null };
const haystacks = new Map();
const byId = (id) => document.getElementById(id);

/** An element with classes and children; children are elements, texts, or null for none. */
function make(tag, classes, ...children) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  return fill(element, ...children);
}

function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A text of unknown origin, whose writing direction stays its own. */
function isolated(text, classes) {
  const element = make("bdi", classes, text);
  element.dir = "auto";
  return element;
}

/** A text as a block; what was cut is marked in a way that no text can imitate. */
function block(text, classes) {
  const element = make("div", `text ${classes || ""}`);
  element.dir = "auto";
  if (typeof text === "string") {
    element.append(text);
  } else {
    const mark = make("span", "cut", `left out here: ${counted(text.left_out, "character")}`);
    element.append(text.head, mark, text.tail);
  }
  return element;
}

const plain = (text) => (typeof text === "string" ? text : text ? `${text.head}\n[…]\n${text.tail}` : "");
const isEmpty = (text) => text === null || text === undefined || text === "";

function titled(title, text, classes) {
  return isEmpty(text) ? null : make("section", "", make("h4", "", title), block(text, classes));
}

function folded(title, text, classes) {
  return isEmpty(text) ? null : make("details", classes, make("summary", "", title), block(text, "box"));
}

const score = (value) => (value === null || value === undefined ? "no score" : `score ${value.toFixed(2)}`);
const counted = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;
const words = (name) => name.replaceAll("_", " ");

// The list

function badge(text, kind) {
  return make("span", `badge ${kind}`, text);
}

function badges(one) {
  const found = [];
  if (one.change === "fixed") found.push(badge("▲ fixed", "fixed"));
  else if (one.change === "broken") found.push(badge("▼ broken", "broken"));
  else if (GRADED.has(one.outcome)) found.push(badge(one.outcome === "right" ? "✓ right" : "✗ wrong", one.outcome));
  if (!GRADED.has(one.outcome)) found.push(badge(words(one.outcome), "failed"));
  if (one.judgeFailed) found.push(badge("judge failed", "failed"));
  return found;
}

function repetition(one) {
  const parts = [];
  if (repeated.epochs) parts.push(`epoch ${one.epoch}`);
  if (repeated.seeds) parts.push(`seed ${one.seed}`);
  return parts.join(", ");
}

function listed(place) {
  const one = entries[place];
  const again = repetition(one);
  const top = make("div", "top", isolated(one.sample), isolated(one.arm + (again ? ` · ${again}` : ""), "arm"), ...badges(one));
  const excerpt = make("div", "excerpt", one.question || " ");
  excerpt.dir = "auto";
  const button = make("button", "", top, excerpt);
  button.type = "button";
  button.dataset.place = place;
  button.setAttribute("aria-current", String(place === state.open));
  button.addEventListener("click", () => open(place));
  return make("li", "", button);
}

function showList() {
  const pages = Math.max(1, Math.ceil(state.found.length / PAGE));
  state.page = Math.min(Math.max(state.page, 0), pages - 1);
  const first = state.page * PAGE;
  const shown = state.found.slice(first, first + PAGE);
  byId("list").replaceChildren(...shown.map(listed));
  byId("list").scrollTop = 0;
  byId("position").textContent = shown.length
    ? `${first + 1}–${first + shown.length} of ${state.found.length.toLocaleString("en")}`
    : "no run fits";
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === pages - 1;
}

// Filters and search

function run(place) {
  return JSON.parse(byId(`run-${place}`).textContent);
}

/** All texts of a run in lower case, gathered when it is first searched. */
function haystack(place) {
  let found = haystacks.get(place);
  if (found === undefined) {
    const texts = [];
    const gather = (value) => {
      if (typeof value === "string") texts.push(value);
      else if (value !== null && typeof value === "object") Object.values(value).forEach(gather);
    };
    gather(entries[place]);
    gather(run(place));
    found = texts.join("\n").toLowerCase();
    haystacks.set(place, found);
  }
  return found;
}

/** The runs that benchmark, arm and search leave; the buttons count them by filter. */
function apply() {
  const needle = byId("search").value.trim().toLowerCase();
  const benchmark = byId("benchmark").value;
  const arm = byId("arm").value;
  const left = [];
  entries.forEach((one, place) => {
    if (benchmark && one.benchmark !== benchmark) return;
    if (arm && one.arm !== arm) return;
    if (needle && !haystack(place).includes(needle)) return;
    left.push(place);
  });
  for (const button of byId("filters").children) {
    const name = button.dataset.filter;
    const count = left.filter((place) => FILTERS[name](entries[place])).length;
    button.lastChild.textContent = count.toLocaleString("en");
    button.setAttribute("aria-pressed", String(name === state.filter));
  }
  state.found = left.filter((place) => FILTERS[state.filter](entries[place]));
  state.page = 0;
  showList();
}

function addFilters() {
  for (const name of Object.keys(FILTERS)) {
    const button = make("button", "", `${name} `, make("span", ""));
    button.type = "button";
    button.dataset.filter = name;
    button.addEventListener("click", () => {
      state.filter = name;
      apply();
    });
    byId("filters").append(button);
  }
}

function addChoices(id, all, values) {
  const select = byId(id);
  for (const [value, text] of [["", all], ...values.map((one) => [one, one])]) {
    const option = make("option", "", text);
    option.value = value;
    option.dir = "auto";
    select.append(option);
  }
  select.hidden = values.length < 2;
  select.addEventListener("change", apply);
}

// One run

function call(one) {
  const line = isolated(one.name);
  const argumentsLine = plain(one.arguments).replace(/\s+/g, " ").slice(0, 80);
  const title = make("summary", "", "⚙ ", line, argumentsLine && argumentsLine !== "{}" ? isolated(` ${argumentsLine}`, "quiet") : null);
  return make("details", "", title, titled("arguments", one.arguments, "box"), isEmpty(one.result) ? make("p", "quiet", "no result") : titled("result", one.result, "box"));
}

function step(one) {
  const who = one.name ? `${one.role} · ${one.name}` : one.role;
  const long = one.role !== "assistant" && plain(one.text).length > 400;
  return make(
    "div",
    "step",
    isolated(who, "who"),
    folded("reasoning", one.reasoning, "prose"),
    isEmpty(one.text) ? null : long ? folded(`${plain(one.text).slice(0, 80)}…`, one.text) : block(one.text),
    ...one.calls.map(call),
  );
}

/** Whether a step says the answer and nothing else: the answer stands below anyway. */
function onlyAnswers(each, answer) {
  return each.role === "assistant" && !each.calls.length && isEmpty(each.reasoning) && plain(each.text) === plain(answer);
}

function verdictOf(verdict) {
  if (!verdict) return [make("p", "quiet", "not judged")];
  return [
    verdict.status === "scored" ? null : make("p", "", badge(`judge: ${verdict.status}`, "failed")),
    titled("why there is no score", verdict.reason),
    titled("critique", verdict.critique, "box"),
    folded("analysis", verdict.analysis, "prose"),
    folded("what the judge wrote", verdict.raw),
    verdict.leaks.length ? titled("answers that the critique gives away", verdict.leaks.map(plain).join("\n")) : null,
  ];
}

function attempt(one, number) {
  const verdict = one.verdict;
  const head = make("h4", "", `Attempt ${number}`, make("span", "quiet", verdict ? score(verdict.score) : "not judged"), one.chosen ? make("span", "badge", "returned") : null);
  const carried = one.carried ? make("p", "quiet", `goes on from ${counted(one.carried, "message")} of attempt ${number - 1}`) : null;
  return make(
    "section",
    one.chosen ? "attempt chosen" : "attempt",
    head,
    titled("feedback that the agent got", one.feedback, "box"),
    carried,
    ...one.steps.filter((each) => !onlyAnswers(each, one.answer)).map(step),
    one.leftOut ? make("p", "cut", `left out here: ${counted(one.leftOut, "message")}`) : null,
    one.stop === "completed" ? null : make("p", "quiet", `the agent stopped: ${words(one.stop)}`),
    titled("answer", one.answer, "box"),
    ...(verdict ? verdictOf(verdict) : []),
  );
}

function factsOf(facts) {
  const cost = facts.cost === null ? "unknown cost" : `$${facts.cost === 0 ? 0 : facts.cost.toPrecision(2)}`;
  return [
    counted(facts.attempts, "attempt"),
    counted(facts.calls, "call"),
    counted(facts.tokens, "token"),
    cost,
    `${facts.seconds.toFixed(1)} s`,
  ].join(" · ");
}

function open(place) {
  state.open = place;
  const one = entries[place];
  const whole = run(place);
  const attempts = whole.attempts || [];
  const detail = byId("detail");
  fill(
    detail,
    make("h3", "", isolated(one.sample), " ", isolated(one.arm, "quiet")),
    make("div", "badges", ...badges(one), make("span", "quiet", [repetition(one), score(one.score), factsOf(whole.facts)].filter(Boolean).join(" · "))),
    isEmpty(whole.why) ? null : block(whole.why, "quiet"),
    ...(whole.history || []).map(step),
    titled("question", whole.question),
    make(
      "div",
      "pair",
      whole.answer === null ? make("section", "", make("h4", "", "answer"), make("p", "quiet", "there is none")) : titled("answer", whole.answer === "" ? " " : whole.answer, "box"),
      whole.references.length ? make("section", "", make("h4", "", "reference"), ...whole.references.map((text) => block(text, "box"))) : null,
    ),
    ...changes(attempts),
    attempts.length ? make("div", "attempts", ...attempts.map((each, place) => attempt(each, place + 1))) : make("p", "quiet", "the row holds no run"),
    whole.stop ? make("p", "quiet", `stopped: ${words(whole.stop)}`, ...[whole.ended, ...whole.notes, `run ${whole.run}`].filter((text) => !isEmpty(text)).flatMap((text) => [" · ", isolated(plain(text))])) : null,
  );
  for (const button of byId("list").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(Number(button.dataset.place) === place));
  }
  history.replaceState(null, "", `#run=${place}`);
}

// What changed between answers

function changes(attempts) {
  const found = [];
  for (let number = 1; number < attempts.length; number += 1) {
    const before = plain(attempts[number - 1].answer);
    const after = plain(attempts[number].answer);
    const title = make("h4", "", `answer, attempt ${number} → ${number + 1}`);
    const body = before === after ? make("p", "quiet", "the same") : difference(before, after);
    found.push(make("section", "difference", title, body));
  }
  return found;
}

function difference(before, after) {
  const element = make("div", "text box");
  element.dir = "auto";
  const cutter = [/(\s+)/, /(\n)/].find((one) => Math.max(before.split(one).length, after.split(one).length) <= WORDS);
  if (!cutter) return make("p", "quiet", "too long to compare");
  for (const [kind, text] of compared(before.split(cutter), after.split(cutter))) {
    element.append(kind === "same" ? text : make(kind, "", text));
  }
  return element;
}

/** Pieces that are the same, deleted ("del") or inserted ("ins"), by the longest common subsequence. */
function compared(before, after) {
  const [n, m] = [before.length, after.length];
  const width = m + 1;
  const common = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      common[here] = before[i] === after[j] ? common[here + width + 1] + 1 : Math.max(common[here + width], common[here + 1]);
    }
  }
  const pieces = [];
  const add = (kind, text) => {
    if (pieces.length && pieces[pieces.length - 1][0] === kind) pieces[pieces.length - 1][1] += text;
    else pieces.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < n || j < m) {
    if (i < n && j < m && before[i] === after[j]) {
      add("same", before[i]);
      i += 1;
      j += 1;
    } else if (i < n && (j === m || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      add("del", before[i]);
      i += 1;
    } else {
      add("ins", after[j]);
      j += 1;
    }
  }
  return pieces;
}

// Start

function move(by) {
  const at = state.found.indexOf(state.open);
  const to = at < 0 ? 0 : at + by;
  if (to < 0 || to >= state.found.length) return;
  if (Math.floor(to / PAGE) !== state.page) {
    state.page = Math.floor(to / PAGE);
    showList();
  }
  open(state.found[to]);
  byId("list").querySelector("[aria-current=true]").focus();
}

function turn(by) {
  state.page += by;
  showList();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").focus();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && byId("list").contains(event.target)) {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  }
});

const repeated = {
  epochs: new Set(entries.map((one) => one.epoch)).size > 1,
  seeds: new Set(entries.map((one) => one.seed)).size > 1,
};
let typed = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(apply, 120);
});
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
addFilters();
addChoices("benchmark", "all benchmarks", [...new Set(entries.map((one) => one.benchmark))]);
addChoices("arm", "all arms", [...new Set(entries.map((one) => one.arm))]);
apply();
const asked = Number((/^#run=(\d+)$/.exec(location.hash) || [])[1] ?? NaN);
if (asked < entries.length) {
  open(asked);
  byId("browser").scrollIntoView();
} else if (state.found.length) {
  open(state.found[0]);
}
performance.mark("ready");
