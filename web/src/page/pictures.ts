/** The one or two pictures that are open. */

import type { Extracted } from "../protocol.ts";

export interface Picture {
  name: string;
  image: ImageBitmap;
  /** Whether the camera goes on giving new ones. */
  live: boolean;
  /** What was found in it as the first (0) or second (1) picture, at a longest side; null if that is to be done. */
  found: { extracted: Extracted; view: number; longest: number } | null;
}

/** @throws Error where a file is no picture that the browser knows; the message names it. */
export async function openPicture(file: Blob, name: string): Promise<Picture> {
  try {
    // Turned as its EXIF orientation says, and with the values as they are stored, as Python reads it.
    const image = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    return { name, image, live: false, found: null };
  } catch {
    throw new Error(`${name} is no picture that this browser can read`);
  }
}

/** Pictures after some were opened: the first free place, then the second one is replaced; two replace both. */
export function withOpened<T>(open: T[], opened: T[]): T[] {
  if (opened.length >= 2 || open.length === 0) return opened.slice(0, 2);
  return opened.length === 0 ? open : [open[0], opened[0]];
}
