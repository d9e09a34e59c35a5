/** What the page and the worker tell each other. */

import type { Features } from "./points/features.ts";
import type { Matches } from "./points/matching.ts";

export type Processor = "cpu" | "gpu";

/** A network as its file describes it. */
export interface Network {
  name: string;
  weightsHash: string;
  version: string;
  describes: boolean;
  lowestThreshold: number;
  mostKeypoints: number;
}

export interface Loaded {
  network: Network;
  processor: Processor;
  threads: number;
}

export interface Extracted {
  features: Features;
  /** Of the network with its decoding, in ms. */
  time: number;
  /** Of the image that the network saw. */
  seenSize: [width: number, height: number];
}

export interface Matched {
  matches: Matches;
  time: number;
}

/** The questions, what each needs and what it gives. */
export interface Calls {
  load: { needs: { base: string; name: string; processor: Processor }; gives: Loaded };
  /** Keeps the descriptors under the number of the picture, 0 or 1. */
  extract: { needs: { picture: number; image: ImageBitmap; longest: number }; gives: Extracted };
  /** Of the first so many keypoints of both pictures. */
  match: { needs: { counts: [number, number]; least: number }; gives: Matched };
}

export type Call = { [Name in keyof Calls]: { id: number; name: Name; needs: Calls[Name]["needs"] } }[keyof Calls];

export type Answer = { id: number; value: unknown } | { id: number; error: string };
