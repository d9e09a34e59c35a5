/** Where the pictures lie on the stage. */

import type { Size } from "../points/features.ts";

export interface Place {
  x: number;
  y: number;
  /** By which pixels of the picture become those of the stage. */
  scale: number;
}

const GAP = 12;

/** Whole pictures, as large as they go: side by side or one above the other, whichever shows more of them. */
export function layOut(sizes: Size[], [width, height]: Size): Place[] {
  if (sizes.length < 2) return sizes.map((size) => fit(size, 0, 0, width, height));
  const [half, middle] = [(width - GAP) / 2, (height - GAP) / 2];
  const beside = [fit(sizes[0], 0, 0, half, height), fit(sizes[1], half + GAP, 0, half, height)];
  const above = [fit(sizes[0], 0, 0, width, middle), fit(sizes[1], 0, middle + GAP, width, middle)];
  return shown(beside, sizes) >= shown(above, sizes) ? beside : above;
}

function fit([w, h]: Size, left: number, top: number, width: number, height: number): Place {
  const scale = Math.max(0, Math.min(width / w, height / h));
  return { x: left + (width - w * scale) / 2, y: top + (height - h * scale) / 2, scale };
}

function shown(places: Place[], sizes: Size[]): number {
  return places.reduce((sum, { scale }, at) => sum + scale ** 2 * sizes[at][0] * sizes[at][1], 0);
}

/** A place in a picture on the stage: the centre of the first pixel, (0, 0), is half a pixel from the picture's corner. */
export function toStage({ x, y, scale }: Place, keypoint: [number, number]): [number, number] {
  return [x + (keypoint[0] + 0.5) * scale, y + (keypoint[1] + 0.5) * scale];
}
