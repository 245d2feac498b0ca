// Deciding again: fields and sliders in, a verdict in words and figures out.

import { decideAgain, replicasOf, returnsOf, targetsOf } from "./arithmetic.js";
import { build } from "./tables.js";
import { bytes, element, figure, money, say, span, word } from "./words.js";

const known = JSON.parse(document.getElementById("figures").textContent);
const STANDING = 40;
const SERVED = { latency_p95_ms: "p95 latency, ms", size_mb: "size, MB", cost_per_million: "cost per million",
  edge_latency_p95_ms: "p95 latency on the device, ms", edge_memory_mb: "memory on the device, MB",
  edge_size_mb: "size on the device, MB" };

export const figures = known;
export const { deciding } = known;

// How a slider, from 0 to 1, stands for a figure; `empty` is the end of it where nothing is asked.
const logarithmic = (low, high, empty, meaning) => ({
  figure: (at) => at === empty ? meaning : Number((low * (high / low) ** at).toPrecision(3)),
  place: (v) => v === meaning || !(v > 0) ? empty : Math.log(v / low) / Math.log(high / low),
});
const linear = (low, high, step) => ({
  figure: (at) => Math.round((low + (high - low) * at) / step) * step,
  place: (v) => (v - low) / (high - low),
});
const signed = (most) => ({
  figure: (at) => { const t = 2 * at - 1; return Number((Math.sign(t) * Math.abs(t) ** 3 * most).toPrecision(3)); },
  place: (v) => (Math.sign(v) * Math.cbrt(Math.abs(v) / most) + 1) / 2,
});

// Fields by name: what a slider means, what is allowed, and whether it may be left empty.
function fieldsOf(own) {
  const p95 = deciding.candidates.map((c) => c.p95[0]);
  const worth = Math.max(100, ...(own.values ?? []).map((v) => 4 * Math.abs(v)));
  const fields = {
    latency_p95_ms: { scale: logarithmic(Math.min(...p95) / 4, Math.max(100, ...p95) * 10, 1, null), least: 1e-9, empty: true },
    mean_rps: { scale: logarithmic(0.1, 10_000, 0, null), least: 0, empty: true },
    peak_rps: { scale: logarithmic(0.1, 50_000, 0, null), least: 0, empty: true },
    core_hour: { scale: logarithmic(0.001, 10, 0, 0), least: 0, empty: false },
    horizon_months: { scale: linear(1, 60, 1), least: 1e-9, empty: false },
    discount_rate: { scale: linear(0, 50, 1), least: 0, empty: false },
  };
  (deciding.outcomes?.names ?? []).forEach((_, k) => {
    fields[`value_${k}`] = { scale: signed(worth), least: -Infinity, empty: true };
  });
  return fields;
}

const ownWishes = () => ({ ...deciding.wishes, discount_rate: known.discount_rate });

function shown(name, wishes) {
  if (name.startsWith("value_")) return wishes.values?.[Number(name.slice(6))] ?? null;
  return name === "discount_rate" ? Number((wishes.discount_rate * 100).toPrecision(6)) : wishes[name];
}

// What stands in the fields, or null where one of them holds no figure that is allowed.
function read(form, fields) {
  const wishes = {}, values = [];
  let fine = true;
  for (const [name, { least, empty }] of Object.entries(fields)) {
    const input = form.elements[name];
    const text = input.value.trim().replaceAll(",", "");
    const value = text === "" ? null : Number(text);
    const allowed = value === null ? empty : Number.isFinite(value) && value >= least && Math.abs(value) < 1e12;
    input.setAttribute("aria-invalid", String(!allowed));
    fine &&= allowed;
    if (name.startsWith("value_")) values.push(value ?? 0);
    else wishes[name] = name === "discount_rate" ? value / 100 : value;
  }
  const own = deciding.wishes.values;
  wishes.values = own !== null || values.some((v) => v !== 0) ? (values.length > 0 ? values : own) : null;
  return fine ? wishes : null;
}

export function start(form, redrawn) {
  const own = ownWishes(), fields = fieldsOf(own);
  const slider = (name) => form.querySelector(`[data-for="${name}"]`);
  const put = (name) => {
    const { scale } = fields[name];
    const text = form.elements[name].value.trim();
    const place = scale.place(text === "" ? (name.startsWith("value_") ? 0 : null) : Number(text));
    slider(name).value = String(Math.round(1000 * Math.min(1, Math.max(0, place))));
    slider(name).setAttribute("aria-valuetext", text === "" ? word("not asked") : text);
  };
  const decide = () => {
    const wishes = read(form, fields);
    const verdict = document.getElementById("verdict");
    if (wishes === null) {
      verdict.replaceChildren(element("p", { class: "badge bad" }, say("A field holds no figure that is allowed.")));
      return;
    }
    const told = decideAgain(deciding, wishes);
    show(told, wishes, decideAgain(deciding, own));
    redrawn(told, wishes);
  };
  const reset = () => {
    for (const name of Object.keys(fields)) {
      form.elements[name].value = shown(name, own) ?? "";
      put(name);
    }
    decide();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    const name = event.target.dataset.for;
    if (name !== undefined) {
      const value = fields[name].scale.figure(Number(event.target.value) / 1000);
      form.elements[name].value = value ?? "";
      event.target.setAttribute("aria-valuetext", value === null ? word("not asked") : String(value));
    } else put(event.target.name);
    decide();
  });
  document.getElementById("reset").addEventListener("click", reset);
  reset();
  return decide;
}

const title = (number) => deciding.candidates.find((c) => c.number === number).title;
const rowOf = (told, number) => told.rows.find((row) => row.number === number);

function show(told, wishes, usual) {
  const row = rowOf(told, told.number);
  const head = told.feasible ? say("Take {0}", row.title) : say("{0} comes nearest", row.title);
  const asked = targetsOf(deciding, wishes).length > 0;
  const badge = !told.feasible ? say("No candidate meets every target")
    : asked ? say("Meets every target") : say("No targets were asked for");
  const parts = [element("h3", {}, head),
    element("p", { class: told.feasible ? "badge good" : "badge bad" }, badge),
    element("p", {}, why(told, row))];
  if (usual.number !== known.chosen) {
    parts.push(element("p", { class: "bad" }, say("These figures alone do not lead to what the run took ({0}).", title(known.chosen))));
  } else if (told.number !== known.chosen) {
    parts.push(element("p", {}, say("The run itself took {0}; that ships until it is run again.", title(known.chosen))));
  }
  document.getElementById("verdict").replaceChildren(...parts);
  document.getElementById("sums").replaceChildren(sums(told, row, wishes), spec(wishes));
  document.getElementById("standing").replaceChildren(standing(told));
}

function why(told, row) {
  const { currency } = deciding;
  if (!told.feasible) {
    const name = SERVED[told.tightest];
    return say("The target that is furthest from being met: {0}.", name === undefined ? told.tightest : word(name));
  }
  if (told.best === told.number) return say("It has the best expected figure of all that meet every target.");
  const best = rowOf(told, told.best);
  const given = [best.title, ends(row.behind), money(row.cost[0], currency), money(best.cost[0], currency)];
  if (row.cost[2] < best.cost[1] && row.cost[0] * 1.25 < best.cost[0]) {
    return say("It is equal to {0} on these rows (difference {1}), and costs {2} per million instead of {3}.", ...given);
  }
  return say("It is equal to {0} on these rows (difference {1}), and answers faster: {2} instead of {3} ms.",
    given[0], given[1], figure(row.p95[0]), figure(best.p95[0]));
}

function ends(found) {
  return found === null ? "–" : span(found);
}

function sums(told, row, wishes) {
  const { currency } = deciding;
  const baseline = rowOf(told, deciding.baseline) ?? null;
  const money_ = told.byMoney ? { ...wishes, values: wishes.values ?? [] } : wishes;
  const found = returnsOf(row, baseline, money_, known.fixed);
  const candidate = deciding.candidates.find((c) => c.number === row.number);
  const cells = [[say("a million predictions"), money(row.cost[0], currency),
    row.cost[1] === row.cost[2] ? null : say("{0} to {1}", money(row.cost[1], currency), money(row.cost[2], currency))]];
  if (told.byMoney) {
    cells.push([say("value of 1,000 decisions"), money(row.quality[0], currency),
      say("{0} to {1}", money(row.quality[1], currency), money(row.quality[2], currency))]);
  }
  if (wishes.mean_rps > 0) {
    const crew = replicasOf(candidate.busy[0], candidate.p95[0], wishes);
    cells.push([say("replicas at the peak"), String(crew), null],
      [say("serving a month"), money(found.serving, currency), say("{0} decisions", figure(found.decisions, 0))]);
    if (told.byMoney) {
      cells.push([say("value a month"), money(found.value, currency), say("more than the constant model")],
        [say("net present value"), money(found.npv, currency),
          found.payback === null ? say("never pays back")
            : found.payback < 0.05 ? say("pays back within days") : say("pays back in {0} months", figure(found.payback))]);
    }
  } else {
    cells.push([say("a month"), "–", say("give the traffic to see it")]);
  }
  return element("dl", { class: "figures" }, ...cells.map(([name, value, beside]) => element("div", {},
    element("dt", {}, name), element("dd", {}, value, beside === null ? null : element("small", {}, beside)))));
}

// The part of a spec that asks for the same.
function spec(wishes) {
  const lines = [];
  const traffic = wishes.mean_rps === null ? null
    : `{mean_rps: ${wishes.mean_rps}${wishes.peak_rps === null ? "" : `, peak_rps: ${wishes.peak_rps}`}}`;
  const serving = [wishes.latency_p95_ms === null ? null : `latency_p95_ms: ${wishes.latency_p95_ms}`,
    traffic === null ? null : `traffic: ${traffic}`].filter((line) => line !== null);
  if (serving.length > 0) lines.push(`serving: {${serving.join(", ")}}`);
  if (wishes.values !== null && deciding.outcomes !== null) {
    const amounts = deciding.outcomes.names.map((name, k) => `${name}: ${wishes.values[k]} ${deciding.currency}`);
    lines.push(`value: {${amounts.join(", ")}}`);
  }
  lines.push(`horizon_months: ${wishes.horizon_months}`);
  return element("details", {}, element("summary", {}, say("The same wishes as a spec")),
    element("pre", { tabindex: "0" }, lines.join("\n")));
}

function standing(told) {
  const { currency } = deciding;
  const rank = (row) => [row.number !== told.number, told.rejected[row.number] !== undefined,
    row.checks.some((check) => !check.met), -row.worth];
  const sorted = [...told.rows].sort((a, b) => {
    const [one, other] = [rank(a), rank(b)];
    const place = one.findIndex((value, k) => value !== other[k]);
    return place < 0 ? a.number - b.number : one[place] < other[place] ? -1 : 1;
  });
  const lines = sorted.slice(0, STANDING).map((row) => ({
    style: row.number === told.number ? "chosen" : null,
    cells: [{ words: row.title }, cell(row.quality, span(row.quality)), cell(row.p95, `${figure(row.p95[0])} ms`),
      cell(row.cost, money(row.cost[0], currency)), { words: bytes(row.size_bytes), v: row.size_bytes },
      { words: became(told, row) }],
  }));
  const quality = told.byMoney ? say("{0} of 1,000 decisions", currency) : say("{0}, 95% interval", known.task.aim);
  const titles = [say("candidate"), quality, say("p95 of one row"), say("a million predictions"), say("size"),
    say("what becomes of it")];
  return build("standing", say("Every candidate, by these wishes"), titles, [1, 2, 3, 4], lines);
}

function cell([value, low, high], words) {
  return low === high ? { words, v: value } : { words, v: value, low, high };
}

const REJECTED = { "no gain": "rejected: too little gained", worse: "rejected: lost too much",
  unproven: "rejected: altered data, not proven better" };

function became(told, row) {
  if (row.number === told.number) return say("taken");
  if (told.rejected[row.number] !== undefined) return say(REJECTED[told.rejected[row.number]]);
  const missed = row.checks.filter((check) => !check.met);
  if (missed.length > 0) {
    return say("misses {0}", missed.map((check) => check.name in SERVED ? word(SERVED[check.name]) : check.name).join(", "));
  }
  if (row.number === told.best) return say("best, but what is equal to it is cheaper or faster");
  if (told.equal.includes(row.number)) return say("equal, but not cheaper");
  if (row.behind === null) return say("behind");
  const apart = row.behind[1] > 0 || row.behind[2] < 0;
  return say(apart ? "behind by {0}" : "not distinguishable; its difference is {0}", span(row.behind));
}
