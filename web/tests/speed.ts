/**
 * What a frame of 480x640 costs in the page in Chromium: `node build/tests/speed.js CHROMIUM PYTHON DIST`.
 *
 * The camera's frames, for each network, with the threads of the machine and with one. The time of the network is the median
 * by the clock. The processor time is that of the whole page with all its threads: other programs change it less.
 */

import type { Browser, CDPSession, Page } from "playwright-core";

import { openBrowser, serve } from "./serving.ts";

const NETWORKS = ["superpoint-tiny", "superpoint-small", "superpoint", "magicpoint"];
const FRAMES = 10;
const LONG = 120_000; // ms

const [path, python, dist] = process.argv.slice(2);
const browser = await openBrowser(path);
const { address, stop } = await serve(python, dist);
try {
  await measure(browser, "allow");
  await measure(browser, "block"); // without it the page is not isolated, and has one thread
} finally {
  await browser.close();
  await stop();
}

async function measure(browser: Browser, serviceWorkers: "allow" | "block"): Promise<void> {
  const context = await browser.newContext({ serviceWorkers });
  const page = await context.newPage();
  const session = await browser.newBrowserCDPSession();
  await page.goto(address);
  if (serviceWorkers === "allow") await page.locator("#offline").waitFor({ timeout: LONG });
  await page.locator('main[aria-busy="false"]').waitFor({ timeout: LONG });
  for (const network of NETWORKS) {
    await page.getByRole("radio", { name: new RegExp(`^${network}\\b(?!-)`) }).check();
    await page.locator("#engine").filter({ hasText: `${network} on` }).waitFor({ timeout: LONG });
    const [clock, processor] = await watch(page, session);
    const engine = await page.locator("#engine").textContent();
    console.log(`${engine}: ${clock.toFixed(0)} ms, processor time of a frame ${processor.toFixed(0)} ms`);
  }
  await context.close();
}

/** The median time of the network, and the processor time of the page for a frame; without the first two frames. */
async function watch(page: Page, session: CDPSession): Promise<[clock: number, processor: number]> {
  await page.locator("#camera").click();
  const fps = page.locator("#fps");
  const count = async (): Promise<number> => Number(await fps.getAttribute("data-frames"));
  while ((await count()) < 3 || Number.isNaN(await count())) await page.waitForTimeout(20);
  const [firstFrame, firstTime] = [await count(), await processorTime(session)];
  const times: number[] = [];
  for (let seen = firstFrame; seen < firstFrame + FRAMES; ) {
    await page.waitForTimeout(20);
    const now = await count();
    if (now === seen) continue;
    seen = now;
    times.push(Number.parseFloat((await page.locator("#time").textContent()) ?? ""));
  }
  const processor = ((await processorTime(session)) - firstTime) / ((await count()) - firstFrame);
  await page.locator("#camera").click();
  await page.locator('main[aria-busy="false"]').waitFor({ timeout: LONG });
  await page.locator("#names button").click();
  return [times.sort((a, b) => a - b)[times.length >> 1], 1000 * processor];
}

/** Of all pages, in s. */
async function processorTime(session: CDPSession): Promise<number> {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}
