/** Grey values as the Python package makes them, bit for bit: `magicpoint/io/images.py`, `to_grey`. */

/** Values (H, W) from 0, black, to 1, white, row by row. */
export interface Grey {
  width: number;
  height: number;
  values: Float32Array;
}

/** ITU-R BT.601, section 2.5.1; green has the rest. */
const RED = Math.fround(0.299);
const BLUE = Math.fround(0.114);

const SHARE = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/** 0.299 red + 0.587 green + 0.114 blue of pixels in the order red, green, blue, alpha; the alpha is not looked at. */
export function toGrey(rgba: Uint8ClampedArray, width: number, height: number): Grey {
  if (rgba.length !== 4 * width * height || rgba.length === 0) {
    throw new RangeError(`${rgba.length} values are no image of ${width}x${height} pixels`);
  }
  const values = new Float32Array(width * height);
  for (let pixel = 0, at = 0; pixel < values.length; pixel++, at += 4) {
    const red = SHARE[rgba[at]];
    const green = SHARE[rgba[at + 1]];
    const blue = SHARE[rgba[at + 2]];
    // Rounded to float32 after each step, and written with differences, so that equal channels give their value.
    const partly = Math.fround(green + Math.fround(RED * Math.fround(red - green)));
    values[pixel] = partly + Math.fround(BLUE * Math.fround(blue - green));
  }
  return { width, height, values };
}
