/** A model of Steelyard that answers in a browser. */

/** A cell as the bundle takes it; `null` and `""` are missing. Images are files, bytes, or what a canvas can draw. */
export type Cell =
  | string | number | boolean | bigint | null | Date
  | Blob | ArrayBuffer | ArrayBufferView | ImageData | CanvasImageSource;

/** What a row is answered with. */
export interface Answer {
  /** The class that is decided on; of a classification. */
  label?: string;
  /** The probability of each class, 0 to 1; of a classification. */
  probabilities?: Record<string, number>;
  /** The number that is predicted; of a regression. */
  value?: number;
  /** Of a cascade which member answered: 0 the cheap one, 1 the dear one. */
  member?: number;
}

/** A column that the model reads. */
export interface Column {
  name: string;
  kind: "number" | "time" | "category" | "text" | "image";
  /** How numbers or dates are written where that is not plain. */
  notation: string;
  /** Whether a cell that does not fit counts as missing. */
  lenient: boolean;
  low: number | null;
  high: number | null;
}

export class Model {
  private constructor();
  /** The columns that each row needs. */
  readonly columns: Column[];
  /** The classes, in the order of their codes; none of a regression. */
  readonly classes: string[];
  readonly task: { problem: "binary" | "multiclass" | "regression"; target: string };
  readonly about: { title: string; created: string; runtime: string };
  /**
   * Loads the model of an export.
   * @param folder Address of the folder, as seen from the page; by default that of the page.
   */
  static load(folder?: string | URL): Promise<Model>;
  /**
   * Answers rows, each an object of cells by the name of its column; columns that the model does not know are ignored.
   * @throws RowsRefused if a column is missing or a cell does not fit.
   */
  predict(rows: Record<string, Cell>[] | Record<string, Cell>): Promise<Answer[]>;
}

/** Rows that do not fit the model; the message names the row and the column. */
export class RowsRefused extends Error {}

/** A folder that is no export, or a browser that cannot run it. */
export class ModelRefused extends Error {}
