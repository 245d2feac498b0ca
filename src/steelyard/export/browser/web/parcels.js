// The large parts of an export: files of JavaScript, each of which hands over one string, so that they load from a disk
// as well as from a server. A parcel is gzip in base64.

import { ModelRefused } from "./refusals.js";

const HANDED = "steelyardParcels";

/** Has the browser run the script at an address. */
function run(url) {
  if (typeof document === "undefined") return import(url);
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = done;
    script.onerror = () => failed(new Error("it cannot be read"));
    document.head.append(script);
  }).finally(() => document.head.querySelector(`script[src="${CSS.escape(url)}"]`)?.remove());
}

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

/**
 * Fetches a parcel and unpacks it.
 * @param {string} base address of the folder
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
export async function parcel(base, name) {
  const handed = (globalThis[HANDED] ??= {});
  try {
    await run(new URL(`parcels/${name}.js`, base).href);
  } catch (problem) {
    throw new ModelRefused(`parcel ${name} of ${base} cannot be loaded (${problem.message}); export the model again`);
  }
  const text = handed[name];
  delete handed[name];
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A parcel as what its JSON says. */
export async function parcelOfJson(base, name) {
  return JSON.parse(new TextDecoder().decode(await parcel(base, name)));
}
