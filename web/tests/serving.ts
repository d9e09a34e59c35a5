/** A server and a browser. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

import { chromium, type Browser } from "playwright-core";

/** Python's `http.server` of a folder, which says nothing of isolation, as most hosts. */
export async function serve(python: string, folder: string): Promise<{ address: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}/`;
  const words = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, String(port)];
  const server = spawn(python, words, { stdio: "ignore" });
  const stop = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill();
    await once(server, "exit");
  };
  for (let tries = 0; tries < 200; tries++) {
    const there = await fetch(address).then(() => true, () => false);
    if (there) return { address, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error("Python's server does not answer");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** With a camera, a green picture of 640x480 with a clock, and WebGPU on the processor: slow, but it is there everywhere. */
export function openBrowser(path: string): Promise<Browser> {
  const media = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  const graphics = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
  return chromium.launch({ executablePath: path, args: [...media, ...graphics] });
}
