// A model of Steelyard in a browser: rows in, the answers of its bundle out. Nothing is sent anywhere.
//
//   import { Model } from "./steelyard.js";
//   const model = await Model.load(".");
//   const [answer] = await model.predict([{ age: 31, note: "late again" }]);

import { PLACE, rowReader } from "./cells.js";
import { extractor } from "./feeds.js";
import { parcel, parcelOfJson } from "./parcels.js";
import { ModelRefused, RowsRefused } from "./refusals.js";
import { answerOf, joinerOf } from "./rules.js";
import { runtimeOf } from "./runtime.js";

const SLACK = 1e-3;
const ROWS_AT_ONCE = 64;

/** Probabilities that sum to one, or finite values; refuses what is neither. */
function clean(task, raw, row) {
  const scores = Array.from(raw);
  const total = scores.reduce((sum, score) => sum + score, 0);
  if (!Number.isFinite(total)) {
    throw new RowsRefused(`row ${row} (from 0) has no finite score: one of its numbers is beyond what the model can `
      + "compute with; correct it or leave it empty");
  }
  if (task.problem === "regression") return scores;
  if (Math.abs(total - 1) > SLACK || Math.min(...scores) < 0) {
    throw new ModelRefused("the graph's scores are no probabilities; export the model again");
  }
  return scores.map((score) => score / total);
}

/** The money at stake in each row, where it is known as a decision is made; null where none is. */
function stakesOf(task, rows) {
  if (!task.amounts.some(({ known }) => known)) return rows.map(() => null);
  return rows.map((row) => task.amounts.map(({ known, column }) => {
    if (!known) return NaN;
    if (row[column] >= 0) return row[column];
    const what = Number.isNaN(row[column]) ? "has nothing" : `has ${row[column]}`;
    throw new RowsRefused(`row ${row[PLACE]} (from 0) ${what} in '${column}', the money at stake that decides; give a `
      + "number of 0 or more");
  }));
}

/** One graph behind its front ends. */
async function graphModel(part, task, base) {
  const ort = await runtimeOf(base);
  const files = new Map(await Promise.all(
    Object.entries(part.files).map(async ([name, from]) => [name, await parcelOfJson(base, from)]),
  ));
  const session = await ort.InferenceSession.create(await parcel(base, part.graph), {
    executionProviders: ["wasm"], graphOptimizationLevel: "all",
  });
  const extract = extractor(part.feeds, { json: (name) => files.get(name) });
  const scored = async (rows) => {
    const tensors = Object.entries(await extract(rows)).map(([name, { type, data, dims }]) => (
      [name, new ort.Tensor(type, data, dims)]
    ));
    const { scores } = await session.run(Object.fromEntries(tensors), ["scores"]);
    const width = scores.dims[1];
    return rows.map((row, k) => clean(task, scores.data.slice(k * width, (k + 1) * width), row[PLACE]));
  };
  return async (rows) => {
    const stakes = stakesOf(task, rows);
    const answers = [];
    for (let first = 0; first < rows.length; first += ROWS_AT_ONCE) {
      const scores = await scored(rows.slice(first, first + ROWS_AT_ONCE));
      answers.push(...scores.map((own, row) => answerOf(task, own, stakes[first + row])));
    }
    return answers;
  };
}

/** What answers typed rows: a graph, or members behind a rule. */
async function answering(part, task, base) {
  if (part.graph) return graphModel(part, task, base);
  const members = await Promise.all(part.members.map((member) => answering(member, task, base)));
  const join = joinerOf(part.rule, task);
  return (rows) => join((member, some) => members[member](some ? some.map((row) => rows[row]) : rows));
}

/** A model, loaded and ready. */
export class Model {
  #answer;
  #read;
  #last = Promise.resolve();

  /** Made by {@link Model.load}. */
  constructor(about, answer) {
    this.about = about;
    this.task = about.task;
    this.columns = about.columns;
    this.classes = about.task.classes;
    this.#answer = answer;
    this.#read = rowReader(about.columns);
  }

  /**
   * Loads the model of an export.
   * @param {string | URL} folder address of the folder, as seen from the page
   * @returns {Promise<Model>}
   */
  static async load(folder = ".") {
    const here = typeof document === "undefined" ? globalThis.location?.href : document.baseURI;
    const base = new URL(`${String(folder).replace(/\/+$/, "")}/`, here).href;
    const about = await parcelOfJson(base, "about");
    return new Model(about, await answering(about.model, about.task, base));
  }

  /**
   * Answers rows, each an object of cells by the name of its column.
   * @param {Array<Record<string, unknown>> | Record<string, unknown>} rows
   */
  async predict(rows) {
    const several = Array.isArray(rows) ? rows : [rows];
    if (!several.length) return [];
    const typed = this.#read(several);
    const turn = this.#last.then(() => this.#answer(typed)); // a session runs one batch at a time
    this.#last = turn.catch(() => undefined);
    return (await turn).map((answer) => this.#said(answer));
  }

  #said({ scores, decided, member }) {
    const stage = member === undefined ? {} : { member };
    if (this.task.problem === "regression") return { value: decided, ...stage };
    const probabilities = Object.fromEntries(this.classes.map((name, place) => [name, scores[place]]));
    return { label: this.classes[decided], probabilities, ...stage };
  }
}

export { ModelRefused, RowsRefused };
