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
    const wish = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" } as const;
    const image = await createImageBitmap(file, wish).catch((error: unknown) => {
      if (error instanceof TypeError) return createImageBitmap(file); // an older browser, which knows no such wish
      throw error;
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
