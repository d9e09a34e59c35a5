/** Cases that can be checked on paper. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { best, countAbove, toOriginal } from "../src/points/features.ts";
import { toGrey } from "../src/points/grey.ts";
import { opaquePixels, wellInside } from "../src/points/mask.ts";
import { mutualNearest, spread } from "../src/points/matching.ts";
import { readMetadata } from "../src/points/metadata.ts";
import { shrink, shrunkSize } from "../src/points/shrink.ts";

const near = (found: number, expected: number): void => assert.ok(Math.abs(found - expected) < 1e-6, `${found}`);

test("a colour's grey value is that of BT.601, and a grey stays as it is", () => {
  for (const [colour, expected] of [
    [[255, 0, 0], 0.299],
    [[0, 255, 0], 0.587],
    [[0, 0, 255], 0.114],
    [[255, 255, 255], 1],
    [[0, 0, 0], 0],
  ] as const) {
    near(toGrey(Uint8ClampedArray.of(...colour, 255), 1, 1).values[0], expected);
  }
  for (let value = 0; value < 256; value++) {
    assert.equal(toGrey(Uint8ClampedArray.of(value, value, value, 7), 1, 1).values[0], Math.fround(value / 255));
  }
});

test("colours give the same float32 values as in Python", () => {
  const colours = Uint8ClampedArray.of(1, 2, 3, 255, 200, 30, 111, 255, 17, 255, 64, 255, 250, 128, 7, 255);
  const python = [0.007117647211998701, 0.35319215059280396, 0.6355450749397278, 0.5909176468849182];
  assert.deepEqual([...toGrey(colours, 4, 1).values], python);
});

test("an array of another length is no image", () => {
  assert.throws(() => toGrey(new Uint8ClampedArray(8), 1, 1), /8 values are no image of 1x1/);
  assert.throws(() => toGrey(new Uint8ClampedArray(0), 0, 0), RangeError);
});

test("an image is shrunk to its longest side, its proportions rounded as Python does", () => {
  assert.deepEqual(shrunkSize(4000, 3000, 640), [640, 480]);
  assert.deepEqual(shrunkSize(3000, 4000, 640), [480, 640]);
  assert.deepEqual(shrunkSize(640, 480, 640), [640, 480]);
  assert.deepEqual(shrunkSize(9000, 1, 640), [640, 1]);
  assert.deepEqual([shrunkSize(8, 5, 4), shrunkSize(8, 7, 4)], [[4, 2], [4, 4]]); // 2.5 and 3.5: to the even one
});

test("each pixel of a shrunk image is the mean of what it covers", () => {
  const image = { width: 4, height: 2, values: Float32Array.of(0, 1, 0.5, 0.5, 1, 0, 0.25, 0.75) };
  assert.deepEqual([...shrink(image, 2).values], [0.5, 0.5]);
  const row = { width: 3, height: 1, values: Float32Array.of(0, 0.5, 1) };
  const [left, right] = shrink(row, 2).values; // 1.5 pixels each
  near(left, 1 / 6);
  near(right, 5 / 6);
  assert.equal(shrink(image, 4), image);
});

test("a keypoint of a resized image keeps its share of the image: (k + 0.5) / s - 0.5", () => {
  const keypoints = Float32Array.of(-0.5, -0.5, 0, 0, 639.5, 479.5);
  assert.deepEqual([...toOriginal(keypoints, [640, 480], [1280, 1920])], [-0.5, -0.5, 0.5, 1.5, 1279.5, 1919.5]);
  assert.deepEqual([...toOriginal(keypoints, [640, 480], [640, 480])], [...keypoints]);
});

test("the best above a threshold are the first", () => {
  const scores = Float32Array.of(0.75, 0.5, 0.25, 0.125);
  assert.equal(countAbove(scores, 0.2, 10), 3);
  assert.equal(countAbove(scores, 0.25, 10), 2); // above, not at
  assert.equal(countAbove(scores, 0, 2), 2);
  assert.equal(countAbove(scores, 0.9, 10), 0);
  const features = { keypoints: Float32Array.of(1, 2, 3, 4), scores: scores.subarray(0, 2), imageSize: [9, 9] as [number, number] };
  assert.deepEqual([...best(features, 1).keypoints], [1, 2]);
});

test("matches are each other's nearest", () => {
  const cosines = Float32Array.of(0.9, 0.2, 0.1, 0.95, 0.3, 0.4); // rows of image 0: the second takes the first's
  const { pairs, similarities } = mutualNearest(cosines, 2, 3);
  assert.deepEqual([...pairs], [1, 0]);
  near(similarities[0], 0.95);
  assert.deepEqual([...mutualNearest(Float32Array.of(0, 1, 1, 0), 2, 2).pairs], [0, 1, 1, 0]);
});

test("of equals the first is the nearest, a cosine at the least counts, and nothing has no match", () => {
  assert.deepEqual([...mutualNearest(Float32Array.of(0.5, 0.5, 0.5, 0.5), 2, 2).pairs], [0, 0]);
  assert.deepEqual([...mutualNearest(Float32Array.of(0.5), 1, 1, 0.5).pairs], [0, 0]);
  assert.equal(mutualNearest(Float32Array.of(0.25), 1, 1, 0.5).pairs.length, 0);
  assert.equal(mutualNearest(new Float32Array(0), 0, 3).pairs.length, 0);
  assert.equal(mutualNearest(Float32Array.of(-2), 1, 1).similarities[0], -1);
  assert.throws(() => mutualNearest(new Float32Array(3), 2, 2), RangeError);
});

test("a few lines come from all over the image, the most similar of a region first", () => {
  const keypoints = Float32Array.of(1, 1, 2, 2, 90, 90, 3, 3); // three in one corner, one in the other
  const matches = { pairs: Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3), similarities: Float32Array.of(0.7, 0.9, 0.5, 0.8) };
  assert.deepEqual(spread(matches, keypoints, [100, 100], 2), [1, 2]);
  assert.deepEqual(spread(matches, keypoints, [100, 100], 9), [1, 3, 0, 2]);
  assert.deepEqual(spread(matches, keypoints, [100, 100], 0), []);
});

test("no keypoint stays on or beside what is transparent", () => {
  const rgba = new Uint8ClampedArray(4 * 40 * 20).fill(255);
  assert.equal(opaquePixels(rgba, 40, 20, 640), null);
  rgba[4 * (10 * 40 + 10) + 3] = 127; // the pixel (10, 10)
  const mask = opaquePixels(rgba, 40, 20, 640);
  assert.ok(mask);
  assert.equal(mask.values.reduce((sum, value) => sum + value, 0), 799);
  const keypoints = Float32Array.of(10, 10, 18.4, 10, 18.6, 10, 0, 19, 39, 0, 1, 1);
  assert.deepEqual(wellInside(keypoints, mask), [2, 3, 4, 5]); // 9 pixels beside it are enough, 8 are not
  const half = opaquePixels(rgba, 40, 20, 20);
  assert.ok(half);
  assert.equal(half.values[5 * 20 + 5], 0); // a pixel that covers a transparent one
});

test("an ONNX file's metadata are read, whatever stands before them", () => {
  const text = (field: number, word: string): number[] => [8 * field + 2, word.length, ...new TextEncoder().encode(word)];
  const entry = [...text(1, "kind"), ...text(2, "keypoints")];
  const file = Uint8Array.from([8, 136, 1, ...text(2, "maker"), 13, 0, 0, 0, 0, 8 * 14 + 2, entry.length, ...entry]);
  assert.deepEqual([...readMetadata(file)], [["kind", "keypoints"]]);
  assert.throws(() => readMetadata(file.subarray(0, -1)), /cut off/);
  assert.throws(() => readMetadata(Uint8Array.of(11, 0)), /no ONNX file/);
  assert.equal(readMetadata(new Uint8Array(0)).size, 0);
});
