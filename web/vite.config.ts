import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { defineConfig, type Plugin } from "vite";

const RUNTIME = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
const RUNTIME_GPU = ["ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"];
const GPU_ALONE = /jspi/; // 17 MB that most visits never need: kept once they were used

/** ONNX Runtime starts threads from its own files, so they are served as they are. */
function copyRuntime(): void {
  const folder = join(import.meta.dirname, "public", "ort");
  mkdirSync(folder, { recursive: true });
  for (const name of [...RUNTIME, ...RUNTIME_GPU]) {
    cpSync(join(import.meta.dirname, "node_modules", "onnxruntime-web", "dist", name), join(folder, name));
  }
}

/** Tells the service worker which files there are, and a digest of them, so that a change of any is a new version. */
function listFiles(): Plugin {
  return {
    name: "list-files",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, "dist");
      const files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== "sw.js")
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1).replaceAll("\\", "/"))
        .sort();
      const digest = createHash("sha256");
      for (const name of files) digest.update(name).update(readFileSync(join(folder, name)));
      const kept = ["./", ...files.filter((name) => !GPU_ALONE.test(name))];
      const worker = join(folder, "sw.js");
      const code = readFileSync(worker, "utf8")
        .replace("__VERSION__", digest.digest("hex").slice(0, 16))
        .replace("__FILES__", JSON.stringify(kept));
      writeFileSync(worker, code);
    },
  };
}

/** Nothing is fetched from elsewhere, and nothing can be sent there. */
function forbidElsewhere(): Plugin {
  const rules = ["default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "img-src 'self' blob:", "object-src 'none'"];
  return {
    name: "forbid-elsewhere",
    apply: "build",
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: rules.join("; ") }, injectTo: "head-prepend" },
    ],
  };
}

copyRuntime();

export default defineConfig({
  base: "./", // the page works in any folder of any host
  plugins: [listFiles(), forbidElsewhere()],
  worker: { format: "es" },
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: "index.html", sw: "src/worker/sw.ts" },
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
});
