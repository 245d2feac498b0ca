// The page: a form made from what the model reads, and what it answers.

import { Model, RowsRefused } from "./steelyard.js";
import { change, say, spoken } from "./words.js";

const CALLS = 50;
const SHOWN = 10;
const at = (id) => document.getElementById(id);
const figure = (ms) => (ms < 10 ? ms.toFixed(2) : ms.toFixed(0));

/** What is shown now, so that it can be said again in the other language. */
const state = { model: null, loaded: 0, answer: null, times: null };

function make(tag, text, owner) {
  const made = document.createElement(tag);
  made.textContent = text;
  owner?.append(made);
  return made;
}

function complain(sentence) {
  at("problem").textContent = sentence;
  at("problem").hidden = !sentence;
}

/** A field for a column; an example stands in numbers. */
function fieldOf({ name, kind, low, high }, place) {
  const label = make("label", "");
  make("span", `${name} `, label);
  make("small", say(kind), label).dataset.t = kind;
  const input = make(kind === "text" ? "textarea" : "input", "", label);
  input.id = `field-${place}`;
  label.htmlFor = input.id;
  input.dataset.column = name;
  if (kind === "text" || kind === "image") label.className = "wide";
  if (kind === "number" && low !== null && high !== null) {
    const middle = (low + high) / 2;
    input.value = Number.isInteger(low) && Number.isInteger(high) ? Math.round(middle) : Number(middle.toPrecision(4));
  }
  if (kind === "number") input.inputMode = "decimal";
  if (kind === "image") {
    Object.assign(input, { type: "file", accept: "image/*" });
    input.addEventListener("change", () => preview(input, label));
  }
  return label;
}

/** Shows the image that was chosen. */
function preview(input, label) {
  const known = at("picture");
  if (known) {
    URL.revokeObjectURL(known.src);
    known.remove();
  }
  if (!input.files.length) return;
  const picture = make("img", "", label);
  picture.id = "picture";
  picture.alt = say("picture");
  picture.src = URL.createObjectURL(input.files[0]);
}

function rowOf() {
  const cells = Array.from(at("fields").querySelectorAll("[data-column]"), (input) => (
    [input.dataset.column, input.type === "file" ? input.files[0] ?? null : input.value]
  ));
  return Object.fromEntries(cells);
}

function tableOf(probabilities) {
  const table = document.createElement("table");
  make("caption", say("caption"), table).hidden = true;
  const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
  for (const [name, chance] of sorted.slice(0, SHOWN)) {
    const row = make("tr", "", table);
    named(name, row).scope = "row";
    const meter = make("meter", "", make("td", "", row));
    meter.value = chance;
    meter.style.setProperty("--share", chance);
    meter.setAttribute("aria-label", `${say("probability")}: ${name}`);
    make("td", `${(100 * chance).toFixed(1)}%`, row);
  }
  return { table, left: sorted.length - SHOWN };
}

/** Name a class, which may be broken behind what divides its words. */
function named(name, row) {
  const head = make("th", "", row);
  for (const part of name.split(/(?<=[_./-])/)) head.append(part, document.createElement("wbr"));
  return head;
}

function showAnswer() {
  if (!state.answer) return;
  const { said: { label, value, probabilities, member }, ms } = state.answer;
  at("answer").replaceChildren();
  make("p", label ?? value.toPrecision(6), at("answer")).className = "said";
  make("p", `${say("answered", figure(ms))}${member === 1 ? ` ${say("escalated")}` : ""}`, at("answer"));
  if (!probabilities) return;
  const { table, left } = tableOf(probabilities);
  at("answer").append(table);
  if (left > 0) make("p", say("more", left), at("answer"));
}

function showTimes() {
  if (!state.times) return;
  const { p50, p95 } = state.times;
  at("times").textContent = say("times", CALLS, figure(p50), figure(p95));
  Object.assign(at("times").dataset, { p50, p95 });
}

function showAbout() {
  document.documentElement.lang = spoken();
  at("language").textContent = spoken() === "en" ? "中文" : "English";
  at("language").lang = spoken() === "en" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = say(element.dataset.t);
  if (!state.model) return;
  const { title, task, created } = state.model.about;
  at("about").textContent = say("about", title, task.target, created.slice(0, 10), Math.round(state.loaded));
}

async function timed() {
  const row = rowOf();
  const began = performance.now();
  const [said] = await state.model.predict([row]);
  return { said, ms: performance.now() - began };
}

/** Runs what a button asks for, and says what was refused. */
async function doing(button, work) {
  button.disabled = true;
  try {
    await work();
    complain("");
  } catch (problem) {
    if (!(problem instanceof RowsRefused)) throw problem;
    complain(problem.message);
  } finally {
    button.disabled = false;
  }
}

async function tryIt() {
  state.answer = await timed();
  showAnswer();
  at("speed").hidden = false;
}

async function measure() {
  at("times").textContent = say("measuring", CALLS);
  const taken = [];
  while (taken.length < CALLS) taken.push((await timed()).ms);
  taken.sort((a, b) => a - b);
  const within = (share) => taken[Math.ceil(share * taken.length) - 1];
  state.times = { p50: within(0.5), p95: within(0.95) };
  showTimes();
}

async function open() {
  const began = performance.now();
  state.model = await Model.load(".");
  state.loaded = performance.now() - began;
  const { task, columns } = state.model;
  document.title = task.target;
  at("title").textContent = task.target;
  at("about").removeAttribute("data-t");
  at("fields").replaceChildren(...columns.map(fieldOf));
  at("work").hidden = false;
  showAbout();
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(at("try"), tryIt);
});
at("measure").addEventListener("click", () => doing(at("measure"), measure));
at("language").addEventListener("click", () => {
  change();
  showAbout();
  showAnswer();
  showTimes();
});
showAbout();
open().catch((problem) => {
  at("about").textContent = "";
  complain(problem.message);
});
