/** From pictures and settings to what is on the page. */

import { best, countAbove, type Features } from "../points/features.ts";
import { NO_MATCHES, spread, type Matches } from "../points/matching.ts";
import type { Extracted, Loaded } from "../protocol.ts";
import { Camera } from "./camera.ts";
import { Client } from "./client.ts";
import type { Controls, Settings } from "./controls.ts";
import { withOpened, type Picture } from "./pictures.ts";
import type { Result } from "./records.ts";
import type { Scene } from "./stage.ts";

/** What the page shows. */
export interface Shown {
  busy: boolean;
  loaded: Loaded | null;
  scene: Scene | null;
  pictures: Picture[];
  result: Result | null;
  networkTime: number | null;
  matchTime: number | null;
  /** Of the camera since it runs, and how many in a second. */
  frames: { count: number; perSecond: number | null } | null;
  problem: string | null;
}

const FRAMES = 10; // over which the frames per second are a mean

export class App {
  readonly #client = new Client();
  readonly #camera = new Camera();
  readonly #controls: Controls;
  readonly #show: (shown: Shown) => void;
  readonly #left = new Set<ImageBitmap>();
  #pictures: Picture[] = [];
  #loaded: Loaded | null = null;
  #working = false;
  #again = false;
  #times: number[] = [];
  #frames = 0;
  #problem: string | null = null;
  #last: Pick<Shown, "scene" | "result" | "networkTime" | "matchTime"> = nothing();
  #chosen: number | null = null;

  constructor(controls: Controls, show: (shown: Shown) => void) {
    this.#controls = controls;
    this.#show = show;
  }

  open(opened: Picture[]): void {
    if (opened.length === 0) return;
    const before = this.#pictures;
    this.#pictures = withOpened(before, opened);
    this.#drop(before);
    this.refresh();
  }

  close(picture: Picture): void {
    const before = this.#pictures;
    this.#pictures = before.filter((other) => other !== picture);
    this.#drop(before);
    this.refresh();
  }

  get cameraRuns(): boolean {
    return this.#camera.runs;
  }

  async startCamera(): Promise<void> {
    await this.#camera.start();
    const live: Picture = { name: "camera", image: await this.#camera.frame(), live: true, found: null };
    this.#times = [];
    this.#frames = 0;
    this.open([live]);
  }

  /** The last frame stays as a picture. */
  stopCamera(): void {
    this.#camera.stop();
    this.#pictures = this.#pictures.map((picture) => ({ ...picture, live: false }));
    this.refresh();
  }

  /** Makes the last frame the first picture; the camera goes on beside it. */
  async hold(): Promise<void> {
    const live = this.#pictures.find((picture) => picture.live);
    if (!live) return;
    const kept: Picture = { name: "kept frame", image: await createImageBitmap(live.image), live: false, found: null };
    const before = this.#pictures;
    this.#pictures = [kept, { ...live, found: null }];
    this.#drop(before);
    this.refresh();
  }

  choose(match: number | null): void {
    if (match === this.#chosen) return;
    this.#chosen = match;
    if (this.#last.scene) this.#last.scene = { ...this.#last.scene, chosen: match };
    this.#tell();
  }

  /** Brings all up to date with the pictures and the settings; a change while it works is taken up after it. */
  refresh(): void {
    this.#again = true;
    if (this.#working) this.#tell();
    else void this.#work();
  }

  report(problem: unknown): void {
    this.#problem = problem instanceof Error ? problem.message : String(problem);
    this.#tell();
  }

  async #work(): Promise<void> {
    this.#working = true;
    this.#tell();
    while (this.#again) {
      this.#again = false;
      try {
        await this.#pass(this.#controls.settings);
        this.#problem = null;
      } catch (error) {
        this.#fail(error);
      }
      this.#again ||= this.#camera.runs;
      this.#tell();
      if (this.#camera.runs) await new Promise(requestAnimationFrame);
    }
    this.#working = false;
    this.#tell();
  }

  /** A graphics processor that does not do is left; anything else stands on the page until the next change. */
  #fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#controls.settings.processor === "gpu") {
      this.#controls.useProcessor();
      this.#again = true;
      console.warn("back to the processor:", reason);
    } else {
      this.#camera.stop();
      this.#problem = reason;
    }
  }

  /** Leaves off where the pictures change meanwhile, since then it is called again. */
  async #pass(settings: Settings): Promise<void> {
    await this.#load(settings);
    await this.#nextFrame();
    const pictures = this.#pictures;
    let networkTime = this.#last.networkTime;
    const features: Features[] = [];
    for (const [view, picture] of pictures.entries()) {
      const found = await this.#find(picture, view, settings.longestSide);
      if (pictures !== this.#pictures) return;
      if (found.fresh) networkTime = found.extracted.time;
      features.push(select(found.extracted.features, settings));
    }
    const { matches, time } = await this.#match(features, settings);
    if (pictures !== this.#pictures) return;
    this.#chosen = this.#chosen !== null && this.#chosen < matches.similarities.length ? this.#chosen : null;
    this.#last = nothing();
    if (pictures.length === 0) return;
    this.#last = {
      scene: this.#scene(pictures, features, matches, settings),
      result: this.#result(pictures, features, matches, settings),
      networkTime,
      matchTime: time,
    };
  }

  async #load({ network, processor }: Settings): Promise<void> {
    if (this.#loaded?.network.name === network && this.#loaded.processor === processor) return;
    this.#loaded = null;
    this.#tell();
    this.#loaded = await this.#client.ask("load", { base: document.baseURI, name: network, processor });
    this.#controls.setNetwork(this.#loaded.network);
    for (const picture of this.#pictures) picture.found = null;
  }

  async #nextFrame(): Promise<void> {
    const live = this.#pictures.find((picture) => picture.live);
    if (!live || !this.#camera.runs) return;
    const frame: Picture = { ...live, image: await this.#camera.frame(), found: null };
    const before = this.#pictures;
    if (!before.includes(live)) return frame.image.close();
    this.#pictures = before.map((picture) => (picture === live ? frame : picture));
    this.#times = [...this.#times, performance.now()].slice(-FRAMES - 1);
    this.#frames++;
    this.#drop(before);
  }

  /** What is in a picture, and whether it was looked for just now. */
  async #find(picture: Picture, view: number, longest: number): Promise<{ extracted: Extracted; fresh: boolean }> {
    const { found } = picture;
    if (found?.view === view && found.longest === longest) return { extracted: found.extracted, fresh: false };
    const extracted = await this.#client.ask("extract", { picture: view, image: picture.image, longest });
    picture.found = { extracted, view, longest };
    return { extracted, fresh: true };
  }

  async #match(features: Features[], settings: Settings): Promise<{ matches: Matches; time: number | null }> {
    if (features.length < 2 || !this.#loaded?.network.describes) return { matches: NO_MATCHES, time: null };
    const counts: [number, number] = [features[0].scores.length, features[1].scores.length];
    return this.#client.ask("match", { counts, least: settings.minSimilarity });
  }

  #scene(pictures: Picture[], features: Features[], matches: Matches, settings: Settings): Scene {
    return {
      pictures: pictures.map(({ image }, view) => ({ image, features: features[view] })),
      matches,
      lines: spread(matches, features[0].keypoints, features[0].imageSize, settings.lines),
      showKeypoints: settings.showKeypoints,
      chosen: this.#chosen,
    };
  }

  #result(pictures: Picture[], features: Features[], matches: Matches, settings: Settings): Result | null {
    if (!this.#loaded) return null;
    const { threshold, maxKeypoints, longestSide, minSimilarity } = settings;
    return {
      network: this.#loaded.network,
      settings: { threshold, maxKeypoints, longestSide, minSimilarity },
      pictures: pictures.map(({ name }, view) => ({ name, features: features[view] })),
      matches,
    };
  }

  /** Frees the pictures that are no longer open, once nothing draws them or sends them to the worker. */
  #drop(before: Picture[]): void {
    const open = new Set(this.#pictures.map(({ image }) => image));
    if (before.some(({ live }) => live) && !this.#pictures.some(({ live }) => live)) this.#camera.stop();
    for (const { image } of before) if (!open.has(image)) this.#left.add(image);
  }

  #tell(): void {
    const drawn = new Set(this.#last.scene?.pictures.map(({ image }) => image));
    this.#show({
      busy: this.#working,
      loaded: this.#loaded,
      pictures: this.#pictures,
      ...this.#last,
      frames: this.#camera.runs ? { count: this.#frames, perSecond: this.#perSecond() } : null,
      problem: this.#problem,
    });
    for (const image of this.#left) {
      if (drawn.has(image)) continue;
      image.close();
      this.#left.delete(image);
    }
  }

  #perSecond(): number | null {
    const [first, last] = [this.#times[0], this.#times[this.#times.length - 1]];
    return this.#times.length < 2 ? null : (1000 * (this.#times.length - 1)) / (last - first);
  }
}

function select(features: Features, { threshold, maxKeypoints }: Settings): Features {
  return best(features, countAbove(features.scores, threshold, maxKeypoints));
}

function nothing(): Pick<Shown, "scene" | "result" | "networkTime" | "matchTime"> {
  return { scene: null, result: null, networkTime: null, matchTime: null };
}
