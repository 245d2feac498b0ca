// What stands between typed cells and the input tensors of a graph: what steelyard.bundle.front_ends does in Python.

import { PLACE } from "./cells.js";
import { tally } from "./ngrams.js";
import { levelsOf } from "./pictures.js";
import { RowsRefused } from "./refusals.js";
import { tokenizerOf } from "./tokenizer.js";

/**
 * @typedef {object} Tensor
 * @property {"float64" | "float32" | "int64" | "uint8" | "string"} type
 * @property {Float64Array | Float32Array | BigInt64Array | Uint8Array | string[]} data
 * @property {number[]} dims
 */

/** @typedef {(rows: Array<Record<string, any>>) => Promise<Record<string, Tensor>>} Extract */

/** Lays lists of numbers side by side, shorter ones padded behind. */
function padded(lists, fill) {
  const width = Math.max(1, ...lists.map((list) => list.length));
  return { width, values: lists.flatMap((list) => [...list, ...Array(width - list.length).fill(fill)]) };
}

function whole(lists, fill) {
  const { width, values } = padded(lists, fill);
  return { type: "int64", data: BigInt64Array.from(values, BigInt), dims: [lists.length, width] };
}

function numbers({ inputs: [input], columns }) {
  return async (rows) => {
    const data = Float64Array.from(rows.flatMap((row) => columns.map((name) => row[name])));
    return { [input]: { type: "float64", data, dims: [rows.length, columns.length] } };
  };
}

function strings({ inputs: [input], columns }) {
  return async (rows) => {
    const data = rows.flatMap((row) => columns.map((name) => row[name] ?? ""));
    return { [input]: { type: "string", data, dims: [rows.length, columns.length] } };
  };
}

function counts({ inputs: [ids, weights], columns: [name], options }, files) {
  const grams = files.json(options.vocabulary);
  const vocabulary = new Map(grams.map((gram, id) => [gram, id]));
  const how = { analyser: "word", low: 1, high: 1, lowercase: true, ...options };
  return async (rows) => {
    const tallies = rows.map((row) => tally(row[name], vocabulary, how));
    const { width, values } = padded(tallies.map((found) => [...found.values()]), 0);
    return {
      [ids]: whole(tallies.map((found) => [...found.keys()]), grams.length),
      [weights]: { type: "float32", data: Float32Array.from(values), dims: [rows.length, width] },
    };
  };
}

function tokens({ inputs, columns, options: { tokenizer, length, pad = 0 } }, files) {
  const cut = tokenizerOf(files.json(tokenizer), length, columns.length === 2);
  return async (rows) => {
    const found = rows.map((row) => cut(columns.map((name) => row[name])));
    const tensors = [
      whole(found.map(({ ids }) => ids), pad),
      whole(found.map(({ ids }) => ids.map(() => 1)), 0),
      whole(found.map(({ types }) => types), 0),
    ];
    return Object.fromEntries(inputs.map((input, place) => [input, tensors[place]]));
  };
}

function image({ inputs: [input], columns: [name], options }) {
  const { channels, height, width } = options;
  const size = channels * height * width;
  return async (rows) => {
    const data = new Uint8Array(rows.length * size);
    for (const [at, row] of rows.entries()) {
      try {
        data.set(await levelsOf(row[name], options), at * size);
      } catch (problem) {
        if (!(problem instanceof RowsRefused)) throw problem;
        throw new RowsRefused(`row ${row[PLACE]} (from 0) of column '${name}': the image ${problem.message}`);
      }
    }
    return { [input]: { type: "uint8", data, dims: [rows.length, channels, height, width] } };
  };
}

const FRONT_ENDS = { numbers, strings, counts, tokens, image };

/**
 * Returns what fills the inputs of a graph.
 * @param {Array<{front_end: string, inputs: string[], columns: string[], options: Record<string, any>}>} feeds
 * @param {{json: (name: string) => any}} files
 * @returns {Extract}
 */
export function extractor(feeds, files) {
  const parts = feeds.map((feed) => FRONT_ENDS[feed.front_end](feed, files));
  return async (rows) => Object.assign({}, ...await Promise.all(parts.map((part) => part(rows))));
}
