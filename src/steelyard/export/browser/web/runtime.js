// ONNX Runtime Web, with the one backend that needs nothing but a browser: WebAssembly with SIMD, on one thread.

import { ModelRefused } from "./refusals.js";
import { parcel } from "./parcels.js";

const started = new Map();

/** Imports a module from its text: pages that lie on a disk may not import files. */
async function imported(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function start(base) {
  if (typeof WebAssembly === "undefined") throw new ModelRefused("this browser has no WebAssembly; use a newer one");
  const [text, binary] = await Promise.all([parcel(base, "runtime"), parcel(base, "wasm")]);
  const ort = await imported(text);
  Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: binary.buffer });
  ort.env.logLevel = "error";
  return ort;
}

/**
 * ONNX Runtime of an export, loaded once.
 * @param {string} base
 */
export function runtimeOf(base) {
  if (!started.has(base)) started.set(base, start(base));
  return started.get(base);
}
