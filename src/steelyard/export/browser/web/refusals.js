// What goes wrong, as sentences with a way out.

/** Rows that do not fit the model; the message names the row (from 0) and the column. */
export class RowsRefused extends Error {
  name = "RowsRefused";
}

/** A cell that does not fit the kind of its column. */
export class NotThisKind extends Error {
  name = "NotThisKind";
}

/** A folder that is no export, or a browser that cannot run it. */
export class ModelRefused extends Error {
  name = "ModelRefused";
}

/**
 * A cell as a sentence shows it.
 * @param {unknown} cell
 * @returns {string}
 */
export function shown(cell) {
  const text = typeof cell === "string" ? `'${cell}'` : String(cell);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
