/**
 * Drives the built page in Chromium, served by Python's `http.server` as by any static host.
 *
 * `node build/tests/browse.js PLAN.json` does what the plan says, one picture or two a case, and writes the page's own
 * JSON file of each beside it; `said.json` has what else was seen. tests/test_web.py makes the plan and compares.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";

import { openBrowser, serve } from "./serving.ts";

interface Case {
  name: string;
  files: string[];
  network: string;
  threshold: number;
  maxKeypoints: number;
  longestSide: number;
  processor: string;
}

interface Plan {
  chromium: string;
  python: string;
  dist: string;
  out: string;
  cases: Case[];
}

const plan = JSON.parse(readFileSync(process.argv[2], "utf8")) as Plan;
const LONG = 240_000; // ms: machines that run tests are shared

async function settled(page: Page): Promise<void> {
  await page.locator('main[aria-busy="false"]').waitFor({ timeout: LONG });
}

async function choose(page: Page, { network, threshold, maxKeypoints, longestSide, processor }: Case): Promise<void> {
  await page.locator("#processor").selectOption(processor);
  await page.getByRole("radio", { name: new RegExp(`^${network}\\b(?!-)`) }).check();
  await settled(page);
  await page.locator("#longest").selectOption(String(longestSide));
  await slide(page, "threshold", threshold);
  await slide(page, "most", maxKeypoints);
  await settled(page);
}

/** Moves a slider until the value beside it is the wanted one. */
async function slide(page: Page, id: string, wanted: number): Promise<void> {
  const slider = page.locator(`#${id}`);
  const told = page.locator(`#${id}-value`);
  for (let presses = 0; presses < 200; presses++) {
    const value = Number(await told.textContent());
    if (value === wanted) return;
    await slider.press(value < wanted ? "ArrowRight" : "ArrowLeft");
  }
  throw new Error(`#${id} does not reach ${wanted}`);
}

async function save(page: Page, button: string, path: string): Promise<void> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator(`#${button}`).click()]);
  await download.saveAs(path);
}

async function problem(page: Page): Promise<string | null> {
  const place = page.locator("#problem");
  return (await place.isVisible()) ? place.textContent() : null;
}

/** A file that is dropped on the page, as its first picture. */
async function drop(page: Page, path: string): Promise<string | null> {
  const content = readFileSync(path).toString("base64");
  const transfer = await page.evaluateHandle((base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
    return dropped;
  }, content);
  await page.dispatchEvent("#stage", "drop", { dataTransfer: transfer });
  await page.locator("#names li").waitFor({ timeout: LONG });
  await settled(page);
  return page.locator("#names").textContent();
}

/** The first match by the keyboard, and what the page says of it. */
async function stepThrough(page: Page): Promise<string | null> {
  await page.locator("#canvas").focus();
  await page.keyboard.press("ArrowRight");
  return page.locator("#told").textContent();
}

async function closeAll(page: Page): Promise<void> {
  while ((await page.locator("#names button").count()) > 0) await page.locator("#names button").first().click();
  await settled(page);
}

async function runCase(page: Page, one: Case): Promise<Record<string, unknown>> {
  await closeAll(page);
  await choose(page, one);
  await page.locator("#files").setInputFiles(one.files);
  await page.locator("#problem:visible").or(page.locator("#names li").nth(one.files.length - 1)).waitFor({ timeout: LONG });
  await settled(page);
  const text = (id: string): Promise<string | null> => page.locator(`#${id}`).textContent();
  const told = one.files.length > 1 ? await stepThrough(page) : null;
  const said = { engine: await text("engine"), time: await text("time"), problem: await problem(page), told };
  if (said.problem === null) {
    await save(page, "json", join(plan.out, `${one.name}.json`));
    await save(page, "keypoints-csv", join(plan.out, `${one.name}-keypoints.csv`));
    if (await page.locator("#matches-csv").isEnabled()) {
      await save(page, "matches-csv", join(plan.out, `${one.name}-matches.csv`));
    }
  }
  return said;
}

async function watchCamera(page: Page): Promise<Record<string, unknown>> {
  await page.locator("#camera").click();
  await page.locator("#fps").filter({ hasText: /^\d/ }).waitFor({ timeout: LONG });
  await page.locator("#hold").click();
  await page.locator("#names li").nth(1).waitFor({ timeout: LONG });
  await page.locator("#matched").filter({ hasText: /^\d/ }).waitFor({ timeout: LONG });
  const [fps, matched] = [await page.locator("#fps").textContent(), await page.locator("#matched").textContent()];
  await page.locator("#camera").click();
  await settled(page);
  return { fps, matched, buttons: await page.locator("#camera").textContent() };
}

async function main(browser: Browser): Promise<Record<string, unknown>> {
  const { address, stop } = await serve(plan.python, plan.dist);
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const elsewhere: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => {
    if (!/^(blob:|data:)/.test(request.url()) && !request.url().startsWith(address)) elsewhere.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  try {
    await page.goto(address);
    await page.locator("#offline").waitFor({ timeout: LONG });
    await settled(page);
    const isolated = await page.evaluate(() => crossOriginIsolated);
    const cases: Record<string, unknown> = {};
    for (const one of plan.cases) cases[one.name] = await runCase(page, one);
    await closeAll(page);
    const dropped = await drop(page, plan.cases[0].files[0]);
    const camera = await watchCamera(page);

    await stop();
    await page.reload();
    await settled(page);
    await page.getByRole("radio", { name: /^superpoint-tiny/ }).check();
    await page.locator("#example").click();
    await page.locator("#names li").nth(1).waitFor({ timeout: LONG });
    await settled(page);
    const offline = { matched: await page.locator("#matched").textContent(), problem: await problem(page) };
    return { isolated, cases, dropped, camera, offline, elsewhere, errors };
  } finally {
    await stop();
  }
}

const browser = await openBrowser(plan.chromium);
try {
  writeFileSync(join(plan.out, "said.json"), JSON.stringify(await main(browser)));
} finally {
  await browser.close();
}
