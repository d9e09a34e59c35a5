/** Where a picture is transparent there are no keypoints, and none beside it: `magicpoint/io/masks.py`. */

import type { Grey } from "./grey.ts";
import { shrink } from "./shrink.ts";

const OPAQUE = 128; // of 255: from a half on
const MARGIN = 8; // pixels beside what is transparent, in which its edge is a corner that the thing does not have
const WHOLE = 1 - 1e-3; // of a pixel that was made smaller

/** 1 where an image, made smaller, is opaque in all that a pixel covers, else 0; null where it is so everywhere. */
export function opaquePixels(rgba: Uint8ClampedArray, width: number, height: number, longest: number): Grey | null {
  const values = new Float32Array(width * height);
  let count = 0;
  for (let pixel = 0; pixel < values.length; pixel++) {
    if (rgba[4 * pixel + 3] < OPAQUE) continue;
    values[pixel] = 1;
    count++;
  }
  if (count === values.length) return null;
  const seen = shrink({ width, height, values }, longest);
  return { ...seen, values: seen.values.map((share) => (share > WHOLE ? 1 : 0)) };
}

/** The numbers of those keypoints around which a square of the mask is 1. */
export function wellInside(keypoints: Float32Array, mask: Grey): number[] {
  const inside = (at: number): boolean => {
    const [x, y] = [Math.round(keypoints[2 * at]), Math.round(keypoints[2 * at + 1])];
    for (let row = Math.max(0, y - MARGIN); row <= Math.min(mask.height - 1, y + MARGIN); row++) {
      for (let column = Math.max(0, x - MARGIN); column <= Math.min(mask.width - 1, x + MARGIN); column++) {
        if (mask.values[row * mask.width + column] === 0) return false;
      }
    }
    return true;
  };
  return Array.from({ length: keypoints.length / 2 }, (_, at) => at).filter(inside);
}
