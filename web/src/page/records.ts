/** What is downloaded: a JSON file with everything, or a CSV file of the keypoints or the matches. */

import type { Features } from "../points/features.ts";
import type { Matches } from "../points/matching.ts";
import type { Network } from "../protocol.ts";

export interface Result {
  network: Network;
  settings: { threshold: number; maxKeypoints: number; longestSide: number | null; minSimilarity: number };
  pictures: { name: string; features: Features }[];
  matches: Matches;
}

/** The names are those of `Features`, `Matches` and the provenance in Python. */
export function asJson({ network, settings, pictures, matches }: Result): string {
  return JSON.stringify({
    weights: network.name,
    weights_hash: network.weightsHash,
    version: network.version,
    settings: {
      threshold: settings.threshold,
      max_keypoints: settings.maxKeypoints,
      longest_side: settings.longestSide,
      min_similarity: settings.minSimilarity,
    },
    images: pictures.map(({ name, features }) => ({
      name,
      image_size: features.imageSize,
      keypoints: couples(features.keypoints),
      keypoint_scores: [...features.scores].map(short),
    })),
    matches01: couples(matches.pairs),
    match_scores: [...matches.similarities].map(short),
  });
}

export function keypointsCsv({ pictures }: Result): string {
  const rows = pictures.flatMap(({ name, features }, image) =>
    couples(features.keypoints).map(([x, y], index) => [image, quoted(name), index, x, y, short(features.scores[index])]),
  );
  return table(["image", "name", "index", "x", "y", "score"], rows);
}

export function matchesCsv({ pictures, matches }: Result): string {
  const points = pictures.map(({ features }) => couples(features.keypoints));
  const rows = couples(matches.pairs).map((pair, match) => {
    const places = pair.flatMap((index, view) => points[view][index]);
    return [...pair, ...places, short(matches.similarities[match])];
  });
  return table(["index0", "index1", "x0", "y0", "x1", "y1", "similarity"], rows);
}

function couples(values: Float32Array | Int32Array): [number, number][] {
  return Array.from({ length: values.length / 2 }, (_, at) => [short(values[2 * at]), short(values[2 * at + 1])]);
}

/** A float32 with no more digits than it has: 9 tell every one from its neighbours. */
function short(value: number): number {
  return Number(value.toPrecision(9));
}

function table(head: string[], rows: (string | number)[][]): string {
  return [head, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

/** RFC 4180; a name cannot begin a formula in a spreadsheet. */
function quoted(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}

export function download(name: string, content: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
