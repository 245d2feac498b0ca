// From whatever an image is given as to planes of levels: what steelyard.bundle.front_ends.pictures does in Python.

import { blocks, resize } from "./resize.js";
import { RowsRefused } from "./refusals.js";

const MOST_PIXELS = 2 ** 26;

/**
 * The pixels of an image as red, green, blue and alpha; upright, with the colours that the file holds.
 * @param {unknown} source
 * @returns {Promise<{pixels: Uint8ClampedArray, size: {width: number, height: number}, isJpeg: boolean}>}
 */
async function decoded(source) {
  if (typeof ImageData !== "undefined" && source instanceof ImageData) {
    return { pixels: laidOnWhite(source.data), size: { width: source.width, height: source.height }, isJpeg: false };
  }
  const file = blobOf(source);
  const bitmap = await createImageBitmap(file ?? source, { premultiplyAlpha: "none", colorSpaceConversion: "none" })
    .catch(() => {
      throw new RowsRefused("is not an image that this browser can read; save it as PNG or JPEG");
    });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new RowsRefused("has more than 67 million pixels; make it smaller");
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const head = file ? new Uint8Array(await file.slice(0, 3).arrayBuffer()) : [];
  const isJpeg = head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff;
  return { pixels: context.getImageData(0, 0, width, height).data, size: { width, height }, isJpeg };
}

/** What is given as bytes, as a blob; null for what the browser has decoded already. */
function blobOf(source) {
  if (source === null || source === undefined) {
    throw new RowsRefused("is missing; drop the row or give its file");
  }
  if (source instanceof Blob) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return new Blob([source]);
  if (typeof source === "object") return null;
  throw new RowsRefused("must be a File, a Blob, bytes, ImageData or something that a canvas can draw");
}

/**
 * Lays pixels on white as Pillow does (Image.alpha_composite).
 * @param {Uint8ClampedArray} pixels
 * @returns {Uint8ClampedArray}
 */
export function laidOnWhite(pixels) {
  const made = new Uint8ClampedArray(pixels);
  for (let at = 0; at < made.length; at += 4) {
    const weight = made[at + 3] * 128;
    for (let k = at; k < at + 3; k += 1) {
      const sum = made[k] * weight + 255 * (255 * 128 - weight) + (0x80 << 7);
      made[k] = ((sum >> 8) + sum) >> 8 >> 7;
    }
    made[at + 3] = 255;
  }
  return made;
}

/**
 * One plane of grey levels, or three of red, green and blue.
 * @param {Uint8ClampedArray} pixels
 * @param {1 | 3} channels
 * @returns {Uint8Array[]}
 */
export function planesOf(pixels, channels) {
  const count = pixels.length / 4;
  if (channels === 3) {
    return [0, 1, 2].map((channel) => Uint8Array.from({ length: count }, (_, place) => pixels[4 * place + channel]));
  }
  const grey = new Uint8Array(count);
  for (let place = 0, at = 0; place < count; place += 1, at += 4) {
    grey[place] = (pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 0x8000) >>> 16;
  }
  return [grey];
}

/** By how much Pillow would have a large JPEG decoded smaller: 1, 2, 4 or 8. */
function draftOf({ width, height }, least) {
  const room = Math.min(Math.floor(width / least), Math.floor(height / least));
  return [8, 4, 2, 1].find((by) => by <= Math.max(room, 1));
}

/**
 * An image as levels of shape (channels, height, width), laid end to end.
 * @param {unknown} source
 * @param {{height: number, width: number, channels: 1 | 3, draft?: boolean}} options
 * @returns {Promise<Uint8Array>}
 */
export async function levelsOf(source, { height, width, channels, draft = false }) {
  const { pixels, size, isJpeg } = await decoded(source);
  const by = draft && isJpeg ? draftOf(size, 2 * Math.max(height, width)) : 1;
  const made = new Uint8Array(channels * height * width);
  planesOf(pixels, channels).forEach((plane, channel) => {
    const small = by > 1 ? blocks(plane, size, by) : { plane, size };
    made.set(resize(small.plane, small.size, { width, height }), channel * height * width);
  });
  return made;
}
