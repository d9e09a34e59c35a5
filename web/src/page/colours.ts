/** A colour for each place of a picture, so that lines from one region look alike and crossing ones stand out. */
export function colourOf([x, y]: [number, number], [width, height]: [number, number]): string {
  const hue = 360 * Math.min(1, Math.max(0, (x + 0.5) / width)) * 0.85;
  const light = 58 + 18 * Math.min(1, Math.max(0, (y + 0.5) / height));
  return `hsl(${hue.toFixed(0)} 85% ${light.toFixed(0)}%)`;
}
