// From raw cells to typed ones: what steelyard.data.coerce does in Python, for the kinds that a browser serves.

import { counted, dateOf } from "./dates.js";
import { numeralOf, PLAIN } from "./numerals.js";
import { NotThisKind, RowsRefused, shown } from "./refusals.js";

const ENDS = /^[ \t\r\n\f\v\u00a0\u3000\ufeff]+|[ \t\r\n\f\v\u00a0\u3000\ufeff]+$/g;
const MISSING = new Set(["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NaT", "NULL", "null"]);
const MISSING_NUMBER = new Set([...[...MISSING].map((word) => word.toLowerCase()), "none", "-", "--", "."]);
const INFINITE = new Set(["inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"]);
const WHOLE = /^-?(?:0|[1-9][0-9]*)\.0$/;
const LARGEST_EXACT = 1e15;

/** Where a typed row keeps its place among the rows that were given. */
export const PLACE = Symbol("place");

const stripped = (text) => text.replace(ENDS, "");
const finite = (value) => (Number.isFinite(value) ? value : NaN);

/**
 * Whether a cell of any type says that nothing is known.
 * @param {unknown} cell
 */
export function isMissing(cell) {
  if (cell === null || cell === undefined || Number.isNaN(cell)) return true;
  if (cell instanceof Date) return Number.isNaN(cell.getTime());
  return typeof cell === "string" && MISSING.has(stripped(cell));
}

function numberOfString(text, notation) {
  if (notation) {
    const value = numeralOf(text, notation);
    if (value !== null) return value;
  } else if (PLAIN.test(text)) {
    return Number(text);
  }
  const small = text.toLowerCase();
  if (MISSING_NUMBER.has(small) || INFINITE.has(small)) return NaN;
  throw new NotThisKind(text);
}

/** A cell as a number; NaN where missing. */
function numberOf(cell, notation = "") {
  if (typeof cell === "string") return numberOfString(stripped(cell), notation);
  if (isMissing(cell)) return NaN;
  if (typeof cell === "number" || typeof cell === "boolean" || typeof cell === "bigint") return Number(cell);
  throw new NotThisKind(shown(cell));
}

/** A cell as seconds since 1970; NaN where missing. */
function timeOf(cell, notation = "") {
  if (cell instanceof Date) return cell.getTime() / 1000;
  let number;
  if (typeof cell === "string") {
    const text = stripped(cell);
    const moment = dateOf(text, notation);
    if (moment !== null) return moment;
    number = numberOfString(text, "");
  } else {
    number = numberOf(cell);
  }
  const moment = counted(number, notation);
  if (moment === null) throw new NotThisKind(shown(cell));
  return moment;
}

/** A number that is no whole one, as Python writes it. */
function written(value) {
  const [digits, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 16) return String(value);
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function categoryOfNumber(value) {
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (!Number.isInteger(value)) return written(value);
  return Math.abs(value) < LARGEST_EXACT ? String(value + 0) : BigInt(value).toString();
}

/**
 * A cell as the name of a category, or null where missing.
 * @param {unknown} cell
 * @returns {string | null}
 */
export function categoryOf(cell) {
  if (isMissing(cell)) return null;
  if (typeof cell === "number") return categoryOfNumber(cell);
  if (typeof cell !== "string" && typeof cell !== "boolean" && typeof cell !== "bigint") {
    throw new NotThisKind(shown(cell));
  }
  const text = stripped(String(cell));
  const small = text.toLowerCase();
  if (small === "true" || small === "false") return small;
  return WHOLE.test(text) ? BigInt(text.slice(0, -2)).toString() : text;
}

/** A cell as text, empty where missing. */
function textOf(cell) {
  return typeof cell === "string" ? (stripped(cell) ? cell : "") : (categoryOf(cell) ?? "");
}

/** An image, untouched; null where missing. */
function imageOf(cell) {
  return isMissing(cell) ? null : cell;
}

function lenient(rule) {
  return (cell) => {
    try {
      return rule(cell);
    } catch (problem) {
      if (problem instanceof NotThisKind) return NaN;
      throw problem;
    }
  };
}

/** What reads a cell of a column. */
function readerOf({ kind, notation, lenient: tolerates }) {
  if (kind === "category") return categoryOf;
  if (kind === "text") return textOf;
  if (kind === "image") return imageOf;
  const rule = kind === "number" ? numberOf : timeOf;
  const read = (cell) => finite(rule(cell, notation));
  return tolerates ? lenient(read) : read;
}

const WANTED = {
  number: "a number",
  time: "a time (write it as 2011-01-31 or 2011-01-31 08:30:00)",
  category: "a category (write it as a string)",
  text: "text",
};

/**
 * Returns what turns raw rows into typed ones.
 * @param {Array<{name: string, kind: string, notation: string, lenient: boolean}>} columns
 * @returns {(rows: Array<Record<string, unknown>>) => Array<Record<string, unknown>>}
 */
export function rowReader(columns) {
  const readers = columns.map((column) => ({ column, read: readerOf(column) }));
  return (rows) => rows.map((row, place) => {
    if (typeof row !== "object" || row === null) throw new RowsRefused(`row ${place} (from 0) is no object of cells`);
    const typed = Object.create(null);
    typed[PLACE] = place;
    for (const { column, read } of readers) {
      if (!Object.hasOwn(row, column.name)) {
        throw new RowsRefused(`row ${place} (from 0) lacks column '${column.name}'; give every column of the `
          + "signature in every row, empty where nothing is known");
      }
      try {
        typed[column.name] = read(row[column.name]);
      } catch (problem) {
        if (!(problem instanceof NotThisKind)) throw problem;
        const like = column.notation ? ` or like ${column.notation}` : "";
        throw new RowsRefused(`row ${place} (from 0) of column '${column.name}' holds ${shown(row[column.name])}, `
          + `which is not ${WANTED[column.kind]}${like}; correct it or leave it empty`);
      }
    }
    return typed;
  });
}
