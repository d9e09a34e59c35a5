/** Large images made smaller, as `magicpoint/io/images.py` does it in `shrink`. */

import type { Grey } from "./grey.ts";

/** Half to even, as Python rounds. */
function round(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** The size of an image after it was shrunk to at most so many pixels on its longer side. */
export function shrunkSize(width: number, height: number, longest: number): [width: number, height: number] {
  if (Math.max(width, height) <= longest) return [width, height];
  const scale = longest / Math.max(width, height);
  return [Math.max(1, round(width * scale)), Math.max(1, round(height * scale))];
}

/** Each pixel becomes the mean of those that it covers, which leaves no alias and moves no edge. */
export function shrink(image: Grey, longest: number): Grey {
  const [width, height] = shrunkSize(image.width, image.height, longest);
  if (width === image.width && height === image.height) return image;
  const columns = covered(image.width, width);
  const rows = covered(image.height, height);
  const narrow = new Float32Array(width * image.height);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const { place, share } of columns[x]) sum += share * image.values[y * image.width + place];
      narrow[y * width + x] = sum;
    }
  }
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (const { place, share } of rows[y]) {
      for (let x = 0; x < width; x++) values[y * width + x] += share * narrow[place * width + x];
    }
  }
  return { width, height, values };
}

interface Covered {
  place: number;
  share: number;
}

/** Which of `from` pixels each of the fewer `to` pixels covers, and the share of each; the shares of one sum to 1. */
function covered(from: number, to: number): Covered[][] {
  const size = from / to;
  return Array.from({ length: to }, (_, pixel) => {
    const [start, stop] = [pixel * size, Math.min((pixel + 1) * size, from)];
    const parts: Covered[] = [];
    for (let place = Math.floor(start); place < stop; place++) {
      const overlap = Math.min(place + 1, stop) - Math.max(place, start);
      if (overlap > 1e-9) parts.push({ place, share: overlap / size });
    }
    return parts;
  });
}
