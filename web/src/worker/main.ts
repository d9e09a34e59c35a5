/** The worker: answers one question after the other, so that the page never waits. */

import type { Answer, Call } from "../protocol.ts";
import { extract, load, match } from "./engine.ts";

const scope = self as unknown as DedicatedWorkerGlobalScope;
let previous: Promise<void> = Promise.resolve();

scope.addEventListener("message", ({ data }: MessageEvent<Call>) => {
  previous = previous.then(async () => {
    scope.postMessage(await answer(data));
  });
});

async function answer(call: Call): Promise<Answer> {
  try {
    return { id: call.id, value: await run(call) };
  } catch (error) {
    return { id: call.id, error: error instanceof Error ? error.message : String(error) };
  }
}

function run(call: Call): Promise<unknown> {
  switch (call.name) {
    case "load":
      return load(call.needs);
    case "extract":
      return extract(call.needs);
    case "match":
      return match(call.needs);
  }
}
