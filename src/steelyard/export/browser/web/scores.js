// What can be read off scores: what steelyard.bundle.scores does in Python, a row at a time.

/** @typedef {Float64Array | number[]} Scores probabilities of the classes of one row, or its one value */

const FAINT = 1e-7;

const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

/** The place of the largest value, the first one of a tie. */
export function bestOf(values) {
  let best = 0;
  for (let place = 1; place < values.length; place += 1) if (values[place] > values[best]) best = place;
  return best;
}

/** The expected value of each decision. */
function expectedWorth(scores, value) {
  return value[0].map((_, decided) => scores.reduce((sum, score, truth) => sum + score * value[truth][decided], 0));
}

/** What outcomes are worth in every row: amounts that do not decide row by row stand at their means. */
function certain(task, amounts) {
  return task.value.map((row, truth) => row.map((money, decided) => task.amounts.reduce((sum, amount) => (
    amounts && amount.known ? sum : sum + amount.times[truth][decided] * amount.means[truth]
  ), money)));
}

/** The amounts that decide row by row, with their places. */
function byRow(task, amounts) {
  return amounts ? task.amounts.map((amount, place) => ({ amount, place })).filter(({ amount }) => amount.known) : [];
}

/**
 * The expected money of each decision.
 * @param {Record<string, any>} task
 * @param {Scores} scores
 * @param {number[] | null} amounts the money at stake in the row
 * @returns {number[]}
 */
export function worthOf(task, scores, amounts) {
  const worth = expectedWorth(scores, certain(task, amounts));
  for (const { amount, place } of byRow(task, amounts)) {
    expectedWorth(scores, amount.times).forEach((share, decided) => {
      worth[decided] += share * amounts[place];
    });
  }
  return worth;
}

/** What the right decision is expected to bring more than the best one. */
function regret(task, scores, amounts) {
  const rows = byRow(task, amounts);
  const best = certain(task, amounts).map((row, truth) => scores[truth] * Math.max(...row.map((money, decided) => (
    rows.reduce((sum, { amount, place }) => sum + amounts[place] * amount.times[truth][decided], money)
  ))));
  return Math.max(sumOf(best) - Math.max(...worthOf(task, scores, amounts)), 0);
}

/** The widest distance in money between two decisions on one class, at the largest amounts seen. */
export function widest(task) {
  let matrices = [task.value];
  for (const { times, high } of task.amounts) {
    matrices = [...matrices, ...matrices.map((matrix) => (
      matrix.map((row, truth) => row.map((money, decided) => money + times[truth][decided] * high))
    ))];
  }
  return Math.max(...matrices.flat().map((row) => Math.max(...row) - Math.min(...row)));
}

/**
 * How sure a member is of a row, from 0 to 1.
 * @param {"margin" | "confidence" | "worth" | "regret"} measure
 * @param {Scores} scores
 * @param {Record<string, any>} task
 * @param {number[] | null} amounts
 */
export function sureness(measure, scores, task, amounts) {
  if (measure === "confidence") return Math.max(...scores);
  if (measure === "regret" && task.value) return Math.max(1 - regret(task, scores, amounts) / widest(task), 0);
  const width = measure === "worth" && task.value ? widest(task) : 0;
  const compared = width ? worthOf(task, scores, amounts).map((worth) => worth / width) : scores;
  const [first, second] = Array.from(compared).sort((a, b) => b - a);
  return task.amounts.length ? Math.min(first - second, 1) : first - second;
}

/** Values that sum to one, in the same proportions. */
export function shares(values) {
  const total = sumOf(values);
  return values.map((value) => value / total);
}

/**
 * The logarithmic pool of several members' probabilities: their weighted logarithms and an offset a class.
 * @param {Scores[]} members
 * @param {number[]} weights
 * @param {number[]} offsets
 */
export function pooled(members, weights, offsets) {
  const logs = offsets.map((offset, place) => (
    members.reduce((sum, scores, k) => sum + weights[k] * Math.log(Math.max(scores[place], FAINT)), offset)
  ));
  const highest = Math.max(...logs);
  return shares(logs.map((log) => Math.exp(log - highest)));
}

/**
 * What a curve reads at a place, by straight lines between its points, as numpy.interp.
 * @param {number} at
 * @param {{from: number[], to: number[]}} curve
 */
export function read(at, { from, to }) {
  if (at <= from[0]) return to[0];
  if (at >= from.at(-1)) return to.at(-1);
  const next = from.findIndex((place) => place > at);
  const slope = (to[next] - to[next - 1]) / (from[next] - from[next - 1]);
  return slope * (at - from[next - 1]) + to[next - 1];
}
