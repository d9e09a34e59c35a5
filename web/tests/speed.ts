/**
 * How long the page takes for a frame of 480x640 in Chromium: `node build/tests/speed.js CHROMIUM PYTHON DIST`.
 *
 * The median of frames of the camera, for each network, with the threads of the machine and with one.
 */

import type { Browser, Page } from "playwright-core";

import { openBrowser, serve } from "./serving.ts";

const NETWORKS = ["superpoint-tiny", "superpoint-small", "superpoint", "magicpoint"];
const FRAMES = 15;
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
  await page.goto(address);
  if (serviceWorkers === "allow") await page.locator("#offline").waitFor({ timeout: LONG });
  await page.locator('main[aria-busy="false"]').waitFor({ timeout: LONG });
  for (const network of NETWORKS) {
    await page.getByRole("radio", { name: new RegExp(`^${network}\\b(?!-)`) }).check();
    await page.locator("#engine").filter({ hasText: `${network} on` }).waitFor({ timeout: LONG });
    await page.locator('main[aria-busy="false"]').waitFor({ timeout: LONG });
    const times = await watch(page);
    console.log(`${await page.locator("#engine").textContent()}: ${times[times.length >> 1]} ms, at best ${times[0]} ms`);
  }
  await context.close();
}

/** The times of frames, from the shortest on, without the first ones. */
async function watch(page: Page): Promise<number[]> {
  await page.locator("#camera").click();
  await page.locator("#fps").filter({ hasText: /^\d/ }).waitFor({ timeout: LONG });
  const times: number[] = [];
  let before = "";
  while (times.length < FRAMES) {
    const [time, fps] = [await page.locator("#time").textContent(), await page.locator("#fps").textContent()];
    await page.waitForTimeout(50);
    if (`${time} ${fps}` === before) continue;
    before = `${time} ${fps}`;
    times.push(Number.parseFloat(time ?? ""));
  }
  await page.locator("#camera").click();
  await page.locator('main[aria-busy="false"]').waitFor({ timeout: LONG });
  await page.locator("#names button").click();
  return times.sort((a, b) => a - b);
}
