// Images to the size of a model, to one level as Pillow does it (Image.resize, BILINEAR, 8 bits a channel): the
// filter widens where an image shrinks, weights are fixed-point numbers, first along rows, then along columns.

const BITS = 22;
const HALF = 1 << (BITS - 1);

/**
 * For each place of a line of `to` pixels: which of `from` pixels it averages, and with which weights.
 * @param {number} from
 * @param {number} to
 */
function weightsOf(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), from);
    const weights = new Float64Array(last - first);
    let total = 0;
    for (let k = 0; k < weights.length; k += 1) {
      weights[k] = Math.max(1 - Math.abs((k + first - centre + 0.5) * (1 / reach)), 0);
      total += weights[k];
    }
    return { first, weights: Int32Array.from(weights, (weight) => Math.trunc(weight / total * (1 << BITS) + 0.5)) };
  });
}

const level = (sum) => Math.min(Math.max(sum >> BITS, 0), 255);

/** Resizes along one axis: pixels lie `step` apart on a line, lines begin `apart` from each other. */
function along(pixels, made, weights, { lines, apart, step, madeApart, madeStep }) {
  for (let line = 0; line < lines; line += 1) {
    for (let place = 0; place < weights.length; place += 1) {
      const { first, weights: own } = weights[place];
      let sum = HALF;
      for (let k = 0, at = line * apart + first * step; k < own.length; k += 1, at += step) sum += pixels[at] * own[k];
      made[line * madeApart + place * madeStep] = level(sum);
    }
  }
  return made;
}

/**
 * Resizes one plane of levels.
 * @param {Uint8Array} plane width times height levels, row by row
 * @param {{width: number, height: number}} from
 * @param {{width: number, height: number}} to
 * @returns {Uint8Array}
 */
export function resize(plane, from, to) {
  let made = plane;
  if (from.width !== to.width) {
    made = along(made, new Uint8Array(to.width * from.height), weightsOf(from.width, to.width), {
      lines: from.height, apart: from.width, step: 1, madeApart: to.width, madeStep: 1,
    });
  }
  if (from.height !== to.height) {
    made = along(made, new Uint8Array(to.width * to.height), weightsOf(from.height, to.height), {
      lines: to.width, apart: 1, step: to.width, madeApart: 1, madeStep: to.width,
    });
  }
  return made;
}

/**
 * Averages blocks of `by` pixels a side; what is left at the ends makes smaller blocks.
 * @param {Uint8Array} plane
 * @param {{width: number, height: number}} from
 * @param {number} by
 * @returns {{plane: Uint8Array, size: {width: number, height: number}}}
 */
export function blocks(plane, { width, height }, by) {
  const size = { width: Math.ceil(width / by), height: Math.ceil(height / by) };
  const made = new Uint8Array(size.width * size.height);
  for (let row = 0; row < size.height; row += 1) {
    const [top, bottom] = [row * by, Math.min((row + 1) * by, height)];
    for (let column = 0; column < size.width; column += 1) {
      const [left, right] = [column * by, Math.min((column + 1) * by, width)];
      let sum = 0;
      for (let y = top; y < bottom; y += 1) for (let x = left; x < right; x += 1) sum += plane[y * width + x];
      made[row * size.width + column] = Math.round(sum / ((bottom - top) * (right - left)));
    }
  }
  return { plane: made, size };
}
