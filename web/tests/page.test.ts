/** What the page decides without a browser: where pictures lie, which are open, what is downloaded. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { layOut, toStage } from "../src/page/layout.ts";
import { withOpened } from "../src/page/pictures.ts";
import { asJson, keypointsCsv, matchesCsv, type Result } from "../src/page/records.ts";

test("two pictures lie side by side where that shows more of them, else one above the other", () => {
  const [left, right] = layOut([[100, 100], [100, 100]], [212, 100]);
  assert.deepEqual([left, right], [{ x: 0, y: 0, scale: 1 }, { x: 112, y: 0, scale: 1 }]);
  const [upper, lower] = layOut([[100, 100], [100, 100]], [100, 212]);
  assert.deepEqual([upper, lower], [{ x: 0, y: 0, scale: 1 }, { x: 0, y: 112, scale: 1 }]);
  assert.deepEqual(layOut([[50, 100]], [100, 100]), [{ x: 25, y: 0, scale: 1 }]);
});

test("the centre of the first pixel is half a pixel from the picture's corner", () => {
  assert.deepEqual(toStage({ x: 10, y: 20, scale: 4 }, [0, 0]), [12, 22]);
  assert.deepEqual(toStage({ x: 10, y: 20, scale: 4 }, [-0.5, 1.5]), [10, 28]);
});

test("a second picture comes beside the first, and a third takes its place", () => {
  assert.deepEqual(withOpened<string>([], ["a"]), ["a"]);
  assert.deepEqual(withOpened(["a"], ["b"]), ["a", "b"]);
  assert.deepEqual(withOpened(["a", "b"], ["c"]), ["a", "c"]);
  assert.deepEqual(withOpened(["a"], ["b", "c", "d"]), ["b", "c"]);
  assert.deepEqual(withOpened(["a"], []), ["a"]);
});

const result: Result = {
  network: { name: "n", weightsHash: "h", version: "1", describes: true, lowestThreshold: 0.005, mostKeypoints: 9 },
  settings: { threshold: 0.015, maxKeypoints: 9, longestSide: 640, minSimilarity: 0 },
  pictures: [
    { name: 'a "b", c.png', features: { keypoints: Float32Array.of(0.1, 2), scores: Float32Array.of(0.5), imageSize: [8, 9] } },
    { name: "=1.png", features: { keypoints: Float32Array.of(3, 4, 5, 6), scores: Float32Array.of(0.5, 0.25), imageSize: [7, 6] } },
  ],
  matches: { pairs: Int32Array.of(0, 1), similarities: Float32Array.of(0.75) },
};

test("the JSON file has all, under the names that Python has", () => {
  const read = JSON.parse(asJson(result));
  assert.equal(read.weights_hash, "h");
  assert.equal(read.settings.max_keypoints, 9);
  assert.deepEqual(read.images[0], { name: 'a "b", c.png', image_size: [8, 9], keypoints: [[0.100000001, 2]], keypoint_scores: [0.5] });
  assert.equal(Math.fround(read.images[0].keypoints[0][0]), Math.fround(0.1)); // the same float32
  assert.deepEqual([read.matches01, read.match_scores], [[[0, 1]], [0.75]]);
});

test("a table's names are quoted and begin no formula", () => {
  assert.equal(
    keypointsCsv(result),
    'image,name,index,x,y,score\n0,"a ""b"", c.png",0,0.100000001,2,0.5\n1,"\'=1.png",0,3,4,0.5\n1,"\'=1.png",1,5,6,0.25\n',
  );
  assert.equal(matchesCsv(result), "index0,index1,x0,y0,x1,y1,similarity\n0,1,0.100000001,2,5,6,0.75\n");
});
