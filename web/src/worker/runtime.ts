/** ONNX Runtime Web, as its files came from npm. */

import type * as Ort from "onnxruntime-web";

import type { Processor } from "../protocol.ts";

export type Runtime = typeof Ort;

const FILES: Record<Processor, string> = {
  cpu: "ort.wasm.min.mjs",
  gpu: "ort.jspi.min.mjs", // WebGPU; the build for browsers without JSPI is 27 MB, more than some hosts take
};

/** More threads than these bring little for images of this size and leave nothing for others. */
const MOST_THREADS = 8;

const runtimes = new Map<Processor, Promise<Runtime>>();

/** Without cross-origin isolation there is no shared memory, and so only one thread. */
export function threadCount(): number {
  return crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
}

/** The runtime for a processor, loaded once. `base` is the address of the page. */
export function loadRuntime(base: string, processor: Processor): Promise<Runtime> {
  const known = runtimes.get(processor);
  if (known) return known;
  const folder = new URL("ort/", base).href;
  const loading = import(/* @vite-ignore */ folder + FILES[processor]).then((runtime: Runtime) => {
    runtime.env.wasm.wasmPaths = folder;
    runtime.env.wasm.numThreads = threadCount();
    return runtime;
  });
  runtimes.set(processor, loading);
  loading.catch(() => runtimes.delete(processor));
  return loading;
}
