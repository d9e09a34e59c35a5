/** Draws the pictures with their keypoints and matches, and says what the pointer is at. */

import type { Features, Size } from "../points/features.ts";
import type { Matches } from "../points/matching.ts";
import { colourOf } from "./colours.ts";
import { layOut, toStage, type Place } from "./layout.ts";

export interface Scene {
  pictures: { image: ImageBitmap; features: Features | null }[];
  matches: Matches;
  /** The numbers of the matches whose lines are drawn. */
  lines: number[];
  showKeypoints: boolean;
  /** The match that is pointed at. */
  chosen: number | null;
}

const REACH = 14; // of the pointer, in CSS pixels

export class Stage {
  readonly #canvas: HTMLCanvasElement;
  #places: Place[] = [];
  #scene: Scene | null = null;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw(this.#scene)).observe(canvas);
  }

  /** @param scene Null where nothing is open: its pictures are freed. */
  draw(scene: Scene | null): void {
    this.#scene = scene;
    if (!scene) return;
    const canvas = this.#canvas;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const context = canvas.getContext("2d");
    if (!context || width === 0 || height === 0) return;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    context.imageSmoothingQuality = "high";
    this.#places = layOut(scene.pictures.map(({ image }): Size => [image.width, image.height]), [width, height]);
    scene.pictures.forEach(({ image }, view) => {
      const { x, y, scale } = this.#places[view];
      context.drawImage(image, x, y, image.width * scale, image.height * scale);
    });
    if (scene.showKeypoints) this.#drawKeypoints(context, scene);
    this.#drawMatches(context, scene);
  }

  /** The match whose keypoint is nearest to a place of the stage, within reach. */
  matchAt(at: [number, number]): number | null {
    const scene = this.#scene;
    if (!scene || scene.pictures.length < 2) return null;
    let [nearest, reach]: [number | null, number] = [null, REACH];
    for (let match = 0; match < scene.matches.similarities.length; match++) {
      for (const end of this.#ends(scene, match)) {
        const distance = Math.hypot(end[0] - at[0], end[1] - at[1]);
        if (distance < reach) [nearest, reach] = [match, distance];
      }
    }
    return nearest;
  }

  #ends(scene: Scene, match: number): [number, number][] {
    return scene.pictures.map(({ features }, view) =>
      toStage(this.#places[view], keypointAt(features as Features, scene.matches.pairs[2 * match + view])),
    );
  }

  /** Rings with a dark rim, which show on light and on dark; those of matches have the colour of their line. */
  #drawKeypoints(context: CanvasRenderingContext2D, scene: Scene): void {
    const first = scene.pictures[0].features;
    scene.pictures.forEach(({ features }, view) => {
      if (!features) return;
      const colours = new Map<number, string>();
      for (let match = 0; first && match < scene.matches.similarities.length; match++) {
        const [index0, own] = [scene.matches.pairs[2 * match], scene.matches.pairs[2 * match + view]];
        colours.set(own, colourOf(keypointAt(first, index0), first.imageSize));
      }
      const radius = features.scores.length > 600 ? 2 : 2.75;
      const alone = scene.matches.similarities.length > 0 ? "rgb(255 255 255 / 40%)" : "rgb(120 255 225 / 95%)";
      for (let index = features.scores.length - 1; index >= 0; index--) {
        const [x, y] = toStage(this.#places[view], keypointAt(features, index));
        const colour = colours.get(index);
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.lineWidth = 3;
        context.strokeStyle = "rgb(0 0 0 / 45%)";
        context.stroke();
        context.lineWidth = 1.5;
        context.strokeStyle = colour ?? alone;
        context.stroke();
      }
    });
  }

  #drawMatches(context: CanvasRenderingContext2D, scene: Scene): void {
    const features = scene.pictures[0]?.features;
    if (!features || scene.pictures.length < 2) return;
    const line = (match: number, width: number): void => {
      const [start, stop] = this.#ends(scene, match);
      const colour = colourOf(keypointAt(features, scene.matches.pairs[2 * match]), features.imageSize);
      context.beginPath();
      context.moveTo(...start);
      context.lineTo(...stop);
      context.lineWidth = width + 1.5;
      context.strokeStyle = "rgb(0 0 0 / 35%)";
      context.stroke();
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
      for (const [x, y] of [start, stop]) {
        context.beginPath();
        context.arc(x, y, width + 1.5, 0, 2 * Math.PI);
        context.fillStyle = colour;
        context.fill();
      }
    };
    context.globalAlpha = scene.chosen === null ? 0.85 : 0.18;
    for (const match of scene.lines) line(match, 1.25);
    context.globalAlpha = 1;
    if (scene.chosen !== null) line(scene.chosen, 3);
  }
}

export function keypointAt({ keypoints }: Features, index: number): [number, number] {
  return [keypoints[2 * index], keypoints[2 * index + 1]];
}
