/** The settings of the form, with their values beside them. */

import type { Network, Processor } from "../protocol.ts";

export interface Settings {
  network: string;
  processor: Processor;
  threshold: number;
  maxKeypoints: number;
  longestSide: number;
  minSimilarity: number;
  lines: number;
  showKeypoints: boolean;
}

/** From the lowest threshold to this the slider goes by equal factors. */
const HIGHEST_THRESHOLD = 0.5;
const LOWEST_THRESHOLD = 0.005; // until a network says its own
const DEFAULT_THRESHOLD = 0.015; // of `DecodeSettings`

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

export class Controls {
  readonly #form = element<HTMLFormElement>("controls");
  readonly #threshold = element<HTMLInputElement>("threshold");
  #lowest = LOWEST_THRESHOLD;

  /** @param changed Is called after each change. */
  constructor(changed: () => void) {
    this.#threshold.value = String(this.#place(DEFAULT_THRESHOLD));
    this.#form.addEventListener("input", () => {
      this.#tell();
      changed();
    });
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#tell();
  }

  get settings(): Settings {
    const number = (id: string): number => Number(element<HTMLInputElement | HTMLSelectElement>(id).value);
    return {
      network: String(new FormData(this.#form).get("network")),
      processor: element<HTMLSelectElement>("processor").value as Processor,
      threshold: this.#thresholdAt(Number(this.#threshold.value)),
      maxKeypoints: number("most"),
      longestSide: number("longest"),
      minSimilarity: number("least"),
      lines: number("lines"),
      showKeypoints: element<HTMLInputElement>("show").checked,
    };
  }

  /** What the network can give bounds what can be asked for. */
  setNetwork({ lowestThreshold, mostKeypoints, describes }: Network): void {
    const { threshold } = this.settings;
    this.#lowest = lowestThreshold;
    this.#threshold.value = String(this.#place(threshold));
    element<HTMLInputElement>("most").max = String(mostKeypoints);
    element<HTMLFieldSetElement>("matching").disabled = !describes;
    this.#tell();
  }

  allowGraphics(): void {
    element<HTMLSelectElement>("processor").options[1].disabled = false;
  }

  useProcessor(): void {
    element<HTMLSelectElement>("processor").value = "cpu";
  }

  #thresholdAt(place: number): number {
    const factor = HIGHEST_THRESHOLD / this.#lowest;
    return Number((this.#lowest * factor ** (place / Number(this.#threshold.max))).toPrecision(2));
  }

  #place(threshold: number): number {
    const [part, whole] = [threshold / this.#lowest, HIGHEST_THRESHOLD / this.#lowest];
    return Math.round((Number(this.#threshold.max) * Math.log(part)) / Math.log(whole));
  }

  #tell(): void {
    const { threshold, maxKeypoints, minSimilarity, lines } = this.settings;
    element("threshold-value").textContent = String(threshold);
    this.#threshold.setAttribute("aria-valuetext", String(threshold));
    element("most-value").textContent = String(maxKeypoints);
    element("least-value").textContent = minSimilarity.toFixed(2);
    element("lines-value").textContent = String(lines);
  }
}
