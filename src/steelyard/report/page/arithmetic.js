// The decision of a run, made again for other wishes: the rule of steelyard.decide, the costs of
// steelyard.money.serving. tests/report/decisions.json holds cases that Python decided; both are held to them.
// `deciding` is that block of report.json. Wishes: core_hour, mean_rps, peak_rps, latency_p95_ms, values (money per
// outcome, in the order of deciding.outcomes.names; null: none), horizon_months, discount_rate. Null means not asked.

const MILLION = 1_000_000;
const USUAL_LOAD = 0.7;
const LN20 = 2.995732273553991;
const NOISE = 1.25;
const Z95 = 1.9599639845400545;
const ONE_SIDED = 0.4294064790024284;
const DECISIONS = 1000;
export const SECONDS_A_MONTH = 365.25 / 12 * 86400;

// The point below which a standard normal figure lies with probability p: bisection on the distribution itself.
function normal(z) {
  const x = Math.abs(z) / Math.SQRT2;
  let erfc;
  if (x < 3) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    erfc = 1 - 2 / Math.sqrt(Math.PI) * sum;
  } else {
    let fraction = 0;
    for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (x + fraction);
    erfc = Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
  }
  return z > 0 ? 1 - erfc / 2 : erfc / 2;
}

export function quantile(p) {
  let low = -40, high = 40;
  for (let step = 0; step < 80; step += 1) {
    const middle = (low + high) / 2;
    if (normal(middle) < p) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

// The probability that the true figure meets a target, by a normal approximation of its interval; null without one.
export function chance([value, low, high], asked, at) {
  const spread = (high - low) / (2 * Z95);
  if (value === null || !(spread > 0)) return null;
  const above = normal((value - asked) / spread);
  return at === "least" ? above : 1 - above;
}

// Share of the time that a replica may be busy at the peak (money.serving.busy_share).
function busyShare(busy, p95, target) {
  if (target === null || target <= p95) return USUAL_LOAD;
  const room = target - p95;
  return room / (room + LN20 * busy);
}

// What a million predictions cost: [value, low, high] (money.serving.cost_per_million).
export function costPerMillion(candidate, wishes) {
  const hours = [0, 1, 2].map((end) => {
    const busy = candidate.busy[end], p95 = candidate.p95[end];
    if (!wishes.mean_rps) return busy / 1000 / 3600 * candidate.threads * MILLION;
    const replicas = replicasOf(busy, p95, wishes);
    return replicas * candidate.threads / (wishes.mean_rps * 3600) * MILLION;
  });
  return [hours[0], Math.min(...hours), Math.max(...hours)].map((h) => h * wishes.core_hour + candidate.collecting);
}

export function replicasOf(busy, p95, wishes) {
  const peak = wishes.peak_rps === null ? wishes.mean_rps : Math.max(wishes.peak_rps, wishes.mean_rps);
  return Math.max(1, Math.ceil(peak * busy / 1000 / busyShare(busy, p95, wishes.latency_p95_ms)));
}

// Σ w_i w_j c_ij of the upper triangle of a covariance.
function quadratic(weights, triangle) {
  let sum = 0, at = 0;
  for (let i = 0; i < weights.length; i += 1) {
    for (let j = i; j < weights.length; j += 1) {
      sum += (i === j ? 1 : 2) * weights[i] * weights[j] * triangle[at];
      at += 1;
    }
  }
  return Math.max(0, sum);
}

// Money per thousand decisions at other values of outcomes, with a normal 95% interval.
function priced(values, mean, triangle) {
  const value = DECISIONS * values.reduce((sum, v, k) => sum + v * mean[k], 0);
  const half = Z95 * DECISIONS * Math.sqrt(quadratic(values, triangle));
  return [value, value - half, value + half];
}

const same = (a, b) => a === b || (a !== null && b !== null && a.length === b.length && a.every((v, k) => v === b[k]));

// How candidates are compared: by the aim of the run, or by money where other values of outcomes are wished.
function comparisonOf(deciding, wishes) {
  const own = same(wishes.values, deciding.wishes.values);
  const outcomes = own ? null : deciding.outcomes;
  const byMoney = own ? deciding.aim === "value" : wishes.values !== null;
  const higher = own ? deciding.higher : true;
  const sign = higher ? 1 : -1;
  const pairs = new Map();
  for (const [a, b, ...rest] of own ? deciding.pairs : outcomes.spreads) {
    pairs.set(`${a},${b}`, own ? rest : rest[0]);
  }
  const quality = (c) => own ? c.quality : priced(wishes.values, ...outcomes.of[c.number]);
  const off = (c) => byMoney ? c.cost[0] / 1000 : 0;
  function difference(a, b) {
    const there = pairs.get(`${a.number},${b.number}`), back = pairs.get(`${b.number},${a.number}`);
    if (own) return there ?? (back ? [-back[0], -back[2], -back[1]] : null);
    const spread = there ?? back;
    if (spread === undefined) return null;
    const mean = outcomes.of[a.number][0].map((v, k) => v - outcomes.of[b.number][0][k]);
    return priced(wishes.values, mean, spread);
  }
  const worth = (c) => sign * quality(c)[0] - off(c);
  const promise = (c) => own && c.expected !== null ? c.expected - off(c) : worth(c);
  const surelyGains = (a, b) => (difference(a, b)?.[1] ?? -Infinity) + off(b) - off(a) > 0;
  return { byMoney, sign, quality, off, difference, worth, promise, surelyGains };
}

// The first of those with the least key; keys are lists that are compared in order.
function least(items, key) {
  let best = null, bestKey = null;
  for (const item of items) {
    const itemKey = key(item);
    if (best === null || compareKeys(itemKey, bestKey) < 0) [best, bestKey] = [item, itemKey];
  }
  return best;
}

function compareKeys(a, b) {
  for (let k = 0; k < a.length; k += 1) if (a[k] !== b[k]) return a[k] < b[k] ? -1 : 1;
  return 0;
}

const shape = (c) => [c.p95[0], c.cost[0], c.size_bytes];

// Every target with what a candidate has: {name, asked, at, got, met, short}.
function checksOf(candidate, asked) {
  return asked.map((target) => {
    const served = { latency_p95_ms: candidate.p95, cost_per_million: candidate.cost,
      size_mb: Array(3).fill(candidate.size_bytes / MILLION) };
    const got = served[target.name] ?? candidate.metrics[target.name] ?? [null, null, null];
    let reached = got[0] ?? NaN;
    if (target.widen !== null) reached = got[0] + (got[target.at === "least" ? 1 : 2] - got[0]) * target.widen;
    let short = (target.asked - reached) * (target.at === "least" ? 1 : -1);
    if (!Number.isFinite(short)) short = Infinity;
    return { ...target, got, met: short <= 0, short: Math.max(0, short) };
  });
}

// How far a target is from being met, 0 to 1 (decide.targets.share_missing).
function shareMissing(check, candidate, baseline) {
  if (check.met) return 0;
  if (check.got[0] === null) return 1;
  if (!(check.name in candidate.metrics) || check.name.startsWith("edge_")) return 1 - check.asked / (check.asked + check.short);
  const start = baseline?.metrics[check.name]?.[0];
  const way = start === undefined ? Math.abs(check.asked) : Math.abs(check.asked - (start ?? NaN));
  return way > 0 ? Math.min(1, check.short / way) : 1;
}

export function targetsOf(deciding, wishes) {
  const asked = deciding.targets.filter((t) => !["latency_p95_ms", "size_mb", "cost_per_million"].includes(t.name));
  const latency = { name: "latency_p95_ms", asked: wishes.latency_p95_ms, at: "most", widen: null };
  const rest = deciding.targets.filter((t) => ["size_mb", "cost_per_million"].includes(t.name));
  return [...asked, ...(wishes.latency_p95_ms === null ? [] : [latency]), ...rest];
}

function cheapest(pool, worth) {
  const within = (some, figure) => {
    const lowest = least(some, (c) => [figure(c)[0]]);
    const most = Math.max(figure(lowest)[2], figure(lowest)[0] * NOISE);
    return some.filter((c) => figure(c)[1] <= most);
  };
  const fast = within(within(pool, (c) => c.cost), (c) => c.p95);
  return least(fast, (c) => [-worth(c), c.size_bytes, c.number]);
}

// Why a candidate is out of the question, by number: "no gain" or "worse" (shrunk), "unproven" (altered data).
// A shrunk one is held against the last of its line that was kept and the one that it began with (decide.shrunk).
function rejections(all, comparison, feasible, within) {
  const by = new Map(all.map((c) => [c.number, c]));
  const shrunk = new Map(), unproven = new Map();
  const lost = (parent, child) => {
    const found = comparison.difference(parent, child);
    if (found === null) return comparison.worth(parent) - comparison.worth(child);
    return found[0] + ONE_SIDED * (found[2] - found[0]) + comparison.off(child) - comparison.off(parent);
  };
  const lineOf = (child) => (child.line ?? []).filter(([number]) => by.has(number));
  const depth = (child) => (child.line ?? []).length;
  for (const child of [...all].sort((a, b) => depth(a) - depth(b) || a.number - b.number)) {
    const line = lineOf(child), root = line.at(-1);
    if (child.line !== null && root === undefined) shrunk.set(child.number, "no gain");
    const against = line.find(([number]) => !shrunk.has(number)) ?? root;
    for (const [number, gains] of root === undefined ? [] : new Set([against, root])) {
      const parent = by.get(number), forgiven = feasible(child) && !feasible(parent);
      if (shrunk.has(child.number)) break;
      if (!gains) shrunk.set(child.number, "no gain");
      else if (!forgiven && !within(lost(parent, child))) shrunk.set(child.number, "worse");
    }
    for (const [leaf, bare] of child.altered) {
      const known = by.has(leaf) && by.has(bare);
      if (!(known && comparison.surelyGains(by.get(leaf), by.get(bare)))) unproven.set(child.number, "unproven");
    }
  }
  const both = new Map([...shrunk, ...unproven]);
  if (both.size < all.length) return both;
  return shrunk.size < all.length ? shrunk : new Map();
}

function bestOf(among, comparison) {
  const top = least(among, (c) => [-comparison.worth(c), c.number]);
  const order = [...among].sort((a, b) => compareKeys(
    [-comparison.promise(a), a !== top, a.number], [-comparison.promise(b), b !== top, b.number]));
  const wider = quantile(1 - 0.025 / among.length) / Z95;
  for (const candidate of order) {
    if (comparison.promise(candidate) <= comparison.promise(top)) break;
    const found = comparison.difference(top, candidate);
    if (found !== null && !(found[0] - (found[0] - found[1]) * wider > 0)) return candidate;
  }
  return top;
}

function frontier(pool, comparison) {
  const score = (c) => comparison.sign * comparison.quality(c)[0];
  const beats = (a, b) => {
    const gains = [score(a) - score(b), ...shape(b).map((v, k) => v - shape(a)[k])];
    return Math.min(...gains) >= 0 && Math.max(...gains) > 0;
  };
  const kept = pool.filter((c) => !pool.some((other) => beats(other, c)));
  return kept.sort((a, b) => compareKeys([-score(a), ...shape(a), a.number], [-score(b), ...shape(b), b.number]));
}

// The decision: {number, feasible, best, equal, rejected, tightest, frontier, rows}, as decide.decide makes it.
export function decideAgain(deciding, wishes) {
  const anew = !same(wishes.values, deciding.wishes.values);
  const known = (c) => !anew || deciding.outcomes.of[c.number] !== undefined;
  const all = deciding.candidates.filter(known).map((c) => ({ ...c, cost: costPerMillion(c, wishes) }));
  const comparison = comparisonOf(deciding, wishes);
  const by = new Map(all.map((c) => [c.number, c]));
  const baseline = by.get(deciding.baseline) ?? null;
  const asked = targetsOf(deciding, wishes);
  const checks = new Map(all.map((c) => [c.number, checksOf(c, asked)]));
  const feasible = (c) => checks.get(c.number).every((check) => check.met);
  const missing = (c) => checks.get(c.number).map((check) => shareMissing(check, c, baseline));
  const inUnits = (asked) => toleranceOf(asked, comparison, all, baseline);
  const [tolerance, lose] = [inUnits(deciding.tolerance), inUnits(deciding.lose)];
  const inside = (most) => (loss) => loss <= most + 1e-9 * Math.max(1, Math.abs(most));
  const within = inside(tolerance);
  const rejected = rejections(all, comparison, feasible, inside(lose));
  const pool = all.filter((c) => !rejected.has(c.number));
  const able = pool.filter(feasible);
  const found = able.length > 0 ? choose(able, comparison, within, by) : nearest(pool, baseline, missing, comparison);
  const tightest = able.length > 0 ? null : tightestOf(asked, found.runners, found.chosen, missing);
  return {
    number: found.chosen.number, best: found.best.number, feasible: able.length > 0, tightest, tolerance,
    equal: found.equal.map((c) => c.number), rejected: Object.fromEntries(rejected),
    frontier: frontier(pool, comparison).map((c) => c.number), byMoney: comparison.byMoney,
    rows: all.map((c) => ({ number: c.number, title: c.title, quality: comparison.quality(c), worth: comparison.worth(c),
      cost: c.cost, p95: c.p95, size_bytes: c.size_bytes, checks: checks.get(c.number),
      behind: found.best === c ? null : comparison.difference(found.best, c) })),
  };
}

// Of money, the loss that counts as equal is a share of the way from the constant model to the best.
function toleranceOf(asked, comparison, all, baseline) {
  if (!comparison.byMoney) return asked;
  const best = least(all, (c) => [-comparison.worth(c)]);
  return asked * Math.abs(comparison.quality(best)[0] - (baseline ? comparison.quality(baseline)[0] : 0));
}

function choose(able, comparison, within, by) {
  const best = bestOf(able, comparison);
  const counted = (c) => {
    const ceiling = by.get(c.ceiling);
    return ceiling ? Math.min(comparison.worth(c), comparison.worth(ceiling)) : comparison.worth(c);
  };
  const equal = able.filter((c) => {
    if (c === best || !within(comparison.worth(best) - counted(c))) return false;
    const found = comparison.difference(best, c);
    if (found === null || found[1] > 0 || found[2] < 0) return false;
    return within(found[0] + ONE_SIDED * (found[2] - found[0]) + comparison.off(c) - comparison.off(best));
  });
  return { best, equal, chosen: cheapest([best, ...equal], (c) => comparison.sign * comparison.quality(c)[0]) };
}

function nearest(pool, baseline, missing, comparison) {
  const learned = pool.filter((c) => c !== baseline);
  const runners = learned.length > 0 ? learned : pool;
  const total = (c) => missing(c).reduce((sum, share) => sum + share, 0);
  const chosen = least(runners, (c) => [total(c), -comparison.worth(c), ...shape(c), c.number]);
  return { best: chosen, equal: [], chosen, runners };
}

function tightestOf(asked, runners, chosen, missing) {
  const shares = runners.map(missing);
  const own = missing(chosen);
  return asked.map((target, k) => [Math.min(...shares.map((s) => s[k])), own[k], k])
    .sort(compareKeys).map(([, , k]) => asked[k].name).at(-1);
}

// Money a month, and over the horizon, against always answering as the constant model (`baseline`, a row or null).
// `fixed` holds what else a month takes (people, retraining, labels) and what was paid at the start, undiscounted.
export function returnsOf(row, baseline, wishes, fixed) {
  const decisions = (wishes.mean_rps ?? 0) * SECONDS_A_MONTH;
  const gain = wishes.values === null ? 0 : row.quality[0] - (baseline === null ? 0 : baseline.quality[0]);
  const value = gain / DECISIONS * decisions;
  const serving = row.cost[0] / MILLION * decisions;
  const month = value - serving - fixed.month;
  const npv = presentValue(month, wishes.horizon_months, wishes.discount_rate) - fixed.upfront;
  return { decisions, value, serving, month, npv, payback: month > 0 ? fixed.upfront / month : null };
}

// What the same money at the end of every month is worth today, at an effective rate a year; the last month counts by
// its share of the horizon (Brealey, Myers, Allen: Principles of Corporate Finance, 2020, chapter 2).
export function presentValue(month, months, rate) {
  const worth = (after) => (1 + rate) ** (-after / 12);
  let sum = (months - Math.floor(months)) * worth(months);
  for (let k = 1; k <= months; k += 1) sum += worth(k);
  return month * sum;
}
