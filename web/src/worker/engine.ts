/** The network, the product of descriptors, and what was found in the two pictures. */

import type { InferenceSession, Tensor } from "onnxruntime-web";

import { toOriginal, type Features, type Size } from "../points/features.ts";
import { toGrey } from "../points/grey.ts";
import { opaquePixels, wellInside } from "../points/mask.ts";
import { mutualNearest, NO_MATCHES } from "../points/matching.ts";
import { readMetadata } from "../points/metadata.ts";
import { shrink } from "../points/shrink.ts";
import type { Calls, Extracted, Loaded, Matched, Network } from "../protocol.ts";
import { loadRuntime, threadCount, type Runtime } from "./runtime.ts";

interface Open {
  runtime: Runtime;
  session: InferenceSession;
}

/** Descriptors (N, D) of one picture, row by row. */
interface Descriptors {
  values: Float32Array;
  length: number;
}

let network: Open | null = null;
let product: Open | null = null;
const described: (Descriptors | null)[] = [null, null];

export async function load({ base, name, processor }: Calls["load"]["needs"]): Promise<Loaded> {
  const cpu = await loadRuntime(base, "cpu");
  product ??= { runtime: cpu, session: await cpu.InferenceSession.create(await fetchFile(base, "similarity")) };
  const file = await fetchFile(base, name);
  const runtime = processor === "cpu" ? cpu : await loadRuntime(base, "gpu");
  const session = await runtime.InferenceSession.create(file, {
    executionProviders: [processor === "cpu" ? "wasm" : "webgpu"],
    logSeverityLevel: 3, // errors: a graphics processor leaves some operators to the other, as it should
  });
  await network?.session.release();
  network = { runtime, session };
  described.fill(null);
  return { network: describe(name, file, session), processor, threads: threadCount() };
}

async function fetchFile(base: string, name: string): Promise<Uint8Array> {
  const response = await fetch(new URL(`models/${name}.onnx`, base));
  if (!response.ok) throw new Error(`${name} cannot be loaded: the server says ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function describe(name: string, file: Uint8Array, session: InferenceSession): Network {
  const metadata = readMetadata(file);
  const decode = JSON.parse(metadata.get("decode") ?? "{}") as { threshold: number; max_keypoints: number };
  return {
    name,
    weightsHash: metadata.get("weights_hash") ?? "",
    version: metadata.get("version") ?? "",
    describes: session.outputNames.includes("descriptors"),
    lowestThreshold: decode.threshold,
    mostKeypoints: decode.max_keypoints,
  };
}

export async function extract({ picture, image, longest }: Calls["extract"]["needs"]): Promise<Extracted> {
  if (!network) throw new Error("no network is loaded");
  const original: Size = [image.width, image.height];
  const rgba = pixels(image);
  const grey = shrink(toGrey(rgba, ...original), longest);
  const mask = opaquePixels(rgba, ...original, longest);
  const start = performance.now();
  const input = new network.runtime.Tensor("float32", grey.values, [1, 1, grey.height, grey.width]);
  const outputs = await network.session.run({ image: input });
  const count = Number((outputs.count.data as BigInt64Array)[0]);
  const keypoints = floats(outputs.keypoints).slice(0, 2 * count);
  const kept = mask && wellInside(keypoints, mask);
  const seenSize: Size = [grey.width, grey.height];
  const features: Features = {
    keypoints: toOriginal(rows(keypoints, 2, kept), seenSize, original),
    scores: rows(floats(outputs.scores).slice(0, count), 1, kept),
    imageSize: original,
  };
  described[picture] = null;
  if (outputs.descriptors) {
    const length = outputs.descriptors.dims[2];
    described[picture] = { values: rows(floats(outputs.descriptors).slice(0, count * length), length, kept), length };
  }
  for (const output of Object.values(outputs)) output.dispose();
  return { features, time: performance.now() - start, seenSize };
}

/** The rows of a table (N, length) with these numbers; null stands for all. */
function rows(values: Float32Array, length: number, kept: number[] | null): Float32Array {
  if (!kept) return values;
  const chosen = new Float32Array(kept.length * length);
  kept.forEach((row, at) => chosen.set(values.subarray(row * length, (row + 1) * length), at * length));
  return chosen;
}

function floats(tensor: Tensor): Float32Array {
  return tensor.data as Float32Array;
}

function pixels(image: ImageBitmap): Uint8ClampedArray {
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser cannot read the pixels of a picture in a worker");
  context.drawImage(image, 0, 0);
  image.close();
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}

export async function match({ counts, least }: Calls["match"]["needs"]): Promise<Matched> {
  const [descriptors0, descriptors1] = described;
  if (!product || !descriptors0 || !descriptors1 || Math.min(...counts) === 0) return { matches: NO_MATCHES, time: 0 };
  const start = performance.now();
  const { Tensor } = product.runtime;
  const [table0, table1] = [descriptors0, descriptors1].map(
    ({ values, length }, view) =>
      new Tensor("float32", values.subarray(0, counts[view] * length), [counts[view], length]),
  );
  const { similarity } = await product.session.run({ descriptors0: table0, descriptors1: table1 });
  const matches = mutualNearest(floats(similarity), ...counts, least);
  similarity.dispose();
  return { matches, time: performance.now() - start };
}
