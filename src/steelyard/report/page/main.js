// Brings the page to life: language, tables, the picture, deciding again.

import { deciding, figures, start } from "./again.js";
import { enhance, everything } from "./tables.js";
import { bytes, element, figure, money, say, span, speak, speaksChinese } from "./words.js";

const tip = document.getElementById("tip");
let latest = null;

// The dots of the one that is taken by these wishes, and the line of the latency that is asked for.
function mark(told, wishes) {
  latest = told;
  for (const each of document.querySelectorAll("svg [data-n]")) {
    each.classList.toggle("taken", each.dataset.n === String(told.number));
  }
  for (const svg of document.querySelectorAll("svg[data-low]")) {
    const [low, high, from, to] = ["low", "high", "start", "end"].map((name) => Number(svg.dataset[name]));
    const asked = wishes.latency_p95_ms;
    const inside = asked !== null && asked >= low && asked <= high;
    const line = svg.querySelector(".latency") ?? draw(svg);
    line.style.display = inside ? "" : "none";
    if (!inside) continue;
    const at = String(from + Math.log(asked / low) / Math.log(high / low) * (to - from));
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
  }
}

function draw(svg) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const axis = svg.querySelector(".axis");
  const bottom = [...svg.querySelectorAll(".axis")].at(-1) ?? axis;
  for (const [name, value] of Object.entries({ class: "target latency", y1: bottom.getAttribute("y1"), y2: "30" })) {
    line.setAttribute(name, value);
  }
  svg.append(line);
  return line;
}

function describe(dot) {
  const number = Number(dot.dataset.n);
  const one = deciding?.candidates.find((c) => c.number === number);
  const row = latest?.rows.find((each) => each.number === number);
  if (one === undefined || row === undefined) return [element("p", {}, dot.getAttribute("aria-label"))];
  const facts = [[figures.task.aim, span(one.quality)], [say("p95 of one row"), span(one.p95, "ms")],
    [say("a million predictions"), money(row.cost[0], deciding.currency)], [say("size"), bytes(one.size_bytes)]];
  if (latest.byMoney && figures.task.aim !== "value") {
    facts.splice(1, 0, [say("value of 1,000 decisions"), `${figure(row.quality[0])} ${deciding.currency}`]);
  }
  const listed = facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return [element("p", {}, one.title), element("dl", {}, ...listed)];
}

function point(event) {
  const dot = event.target.closest?.(".dot[data-n]");
  if (!dot) return;
  tip.replaceChildren(...describe(dot));
  tip.hidden = false;
  const box = dot.getBoundingClientRect();
  const left = Math.min(window.innerWidth - tip.offsetWidth - 8, Math.max(8, box.x + box.width / 2 - tip.offsetWidth / 2));
  const above = box.y - tip.offsetHeight - 10;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above > 0 ? above : box.bottom + 10) + window.scrollY}px`;
}

const hide = () => { tip.hidden = true; };
for (const name of ["pointerover", "focusin"]) document.addEventListener(name, point);
for (const name of ["pointerout", "focusout"]) document.addEventListener(name, hide);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

document.querySelectorAll("table[data-name]").forEach(enhance);
document.querySelector(".tools").hidden = false;
document.getElementById("print").addEventListener("click", () => window.print());
document.getElementById("everything").addEventListener("click", () => everything(figures));
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("main details").forEach((each) => { each.open = true; });
});

let again = () => {};
if (deciding) {
  document.getElementById("again").hidden = false;
  again = start(document.getElementById("wishes"), mark);
}

function switchTo(inChinese) {
  const button = document.getElementById("language");
  button.textContent = inChinese ? "English" : "中文";
  button.lang = inChinese ? "en" : "zh-CN";
  speak(inChinese);
  again();
}
document.getElementById("language").addEventListener("click", () => switchTo(!speaksChinese()));
if (navigator.language.startsWith("zh")) switchTo(true);
