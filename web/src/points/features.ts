/** Keypoints of one image. */

export type Size = [width: number, height: number];

export interface Features {
  /** x and y of each, in pixels of the image; the centre of the top-left pixel is (0, 0). The best come first. */
  keypoints: Float32Array;
  /** Of each, in [0, 1], the largest first. */
  scores: Float32Array;
  imageSize: Size;
}

/**
 * Keypoints of a resized image in pixels of the original, along each axis (k + 0.5) / s - 0.5 for a resize by s.
 * Multiplying alone is off by half a pixel: docs/conventions.md.
 */
export function toOriginal(keypoints: Float32Array, resized: Size, original: Size): Float32Array {
  const scale = [original[0] / resized[0], original[1] / resized[1]];
  return keypoints.map((value, at) => (value + 0.5) * scale[at % 2] - 0.5);
}

/** How many of scores that fall are above a threshold, and no more than `most`. */
export function countAbove(scores: Float32Array, threshold: number, most: number): number {
  let count = 0;
  while (count < scores.length && count < most && scores[count] > threshold) count++;
  return count;
}

/** The first keypoints. */
export function best(features: Features, count: number): Features {
  const { keypoints, scores, imageSize } = features;
  return { keypoints: keypoints.subarray(0, 2 * count), scores: scores.subarray(0, count), imageSize };
}
