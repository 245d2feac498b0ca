// How scores become a decision, and how the answers of several members become one: steelyard.bundle.rules, row by row.

import { bestOf, pooled, read, shares, sureness, worthOf } from "./scores.js";

/**
 * @typedef {object} Answer what a model says of one row
 * @property {import("./scores.js").Scores} scores
 * @property {number} decided the code of a class, or the value
 * @property {number[] | null} amounts the money at stake in the row
 * @property {number} [member] of a cascade, which member answered
 */

/** @typedef {(member: number, some?: number[]) => Promise<Answer[]>} Ask what a member answers to all rows, or some */

const numeric = (task) => task.problem === "regression";

/**
 * Decides on the scores of a row.
 * @param {Record<string, any>} task
 * @param {import("./scores.js").Scores} scores
 * @param {number[] | null} amounts
 * @returns {Answer}
 */
export function answerOf(task, scores, amounts) {
  if (numeric(task)) return { scores, decided: scores[0], amounts };
  return { scores, decided: bestOf(task.value ? worthOf(task, scores, amounts) : scores), amounts };
}

/** Joins the scores of members, row by row. */
function joining(task, members, join) {
  return async (ask) => {
    const answers = [];
    for (const member of members) answers.push(await ask(member));
    return answers[0].map(({ amounts }, row) => answerOf(task, join(answers.map((each) => each[row].scores)), amounts));
  };
}

function blend({ weights }, task) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const parts = weights.map((weight) => weight / total);
  const mean = (scores) => scores[0].map((_, place) => scores.reduce((sum, own, k) => sum + own[place] * parts[k], 0));
  return joining(task, weights.map((_, member) => member), mean);
}

function pool({ weights, offsets }, task) {
  const used = weights.map((_, member) => member).filter((member) => weights[member] > 0);
  const kept = used.map((member) => weights[member]);
  const sum = (scores) => offsets.map((offset, at) => scores.reduce((all, own, k) => all + kept[k] * own[at], offset));
  return joining(task, used, numeric(task) ? sum : (scores) => pooled(scores, kept, offsets));
}

/** Changes what is decided, and leaves the scores as they are. */
const deciding = (decide) => async (ask) => (await ask(0)).map((given) => ({ ...given, decided: decide(given) }));

function threshold({ positive, at }) {
  return deciding(({ scores }) => (scores[positive] >= at ? positive : 1 - positive));
}

function odds({ positive, times }, task) {
  return deciding(({ scores, amounts }) => {
    const swayed = shares(scores.map((score, place) => (place === positive ? score * times : score)));
    return answerOf(task, swayed, amounts).decided;
  });
}

function line({ plus, times }) {
  return deciding(({ decided }) => plus + times * decided);
}

function temperature({ at }, task) {
  const offsets = task.classes.map(() => 0);
  return joining(task, [0], ([scores]) => pooled([scores], [1 / at], offsets));
}

function isotonic({ curves }, task) {
  return joining(task, [0], ([scores]) => {
    if (curves.length > 1) return shares(curves.map((curve, place) => read(scores[place], curve)));
    const chance = read(scores[1], curves[0]);
    return [1 - chance, chance];
  });
}

function cascade({ measure, at }, task) {
  return async (ask) => {
    const cheap = (await ask(0)).map((answer) => ({ ...answer, member: 0 }));
    const unsure = cheap.flatMap(({ scores, amounts }, row) => (
      sureness(measure, scores, task, amounts) < at ? [row] : []
    ));
    if (!unsure.length) return cheap;
    const dear = await ask(1, unsure);
    unsure.forEach((row, place) => {
      const { scores, decided } = dear[place];
      cheap[row] = { ...cheap[row], scores, decided, member: 1 };
    });
    return cheap;
  };
}

const RULES = { blend, pool, threshold, odds, line, temperature, isotonic, cascade };

/**
 * Returns what joins the answers of members by a rule.
 * @param {{rule: string} & Record<string, any>} rule
 * @param {Record<string, any>} task
 * @returns {(ask: Ask) => Promise<Answer[]>}
 */
export function joinerOf(rule, task) {
  return RULES[rule.rule](rule, task);
}
