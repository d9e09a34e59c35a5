/** Matches of two images: each is the other's nearest, as in `magicpoint/matching/nearest.py`. */

export interface Matches {
  /** Of each match, its index in image 0 and its index in image 1; those in image 0 increase. */
  pairs: Int32Array;
  /** The cosine of the two descriptors, from -1 to 1. */
  similarities: Float32Array;
}

export const NO_MATCHES: Matches = { pairs: new Int32Array(0), similarities: new Float32Array(0) };

/**
 * The mutual nearest of cosines (N, M), row by row. Of equals the first is the nearest.
 *
 * @param least A match is kept where its cosine is this or more.
 */
export function mutualNearest(cosines: Float32Array, count0: number, count1: number, least = -1): Matches {
  if (cosines.length !== count0 * count1) throw new RangeError(`${cosines.length} cosines for ${count0}x${count1}`);
  const nearest0 = new Int32Array(count0).fill(-1);
  const nearest1 = new Int32Array(count1).fill(-1);
  const largest1 = new Float32Array(count1).fill(-Infinity);
  const largest0 = new Float32Array(count0).fill(-Infinity);
  for (let row = 0, at = 0; row < count0; row++) {
    for (let column = 0; column < count1; column++, at++) {
      const cosine = cosines[at];
      if (cosine > largest0[row]) {
        largest0[row] = cosine;
        nearest0[row] = column;
      }
      if (cosine > largest1[column]) {
        largest1[column] = cosine;
        nearest1[column] = row;
      }
    }
  }
  const pairs: number[] = [];
  const similarities: number[] = [];
  for (let row = 0; row < count0; row++) {
    const column = nearest0[row];
    if (column < 0 || nearest1[column] !== row) continue;
    const cosine = Math.min(1, Math.max(-1, largest0[row]));
    if (cosine < least) continue;
    pairs.push(row, column);
    similarities.push(cosine);
  }
  return { pairs: Int32Array.from(pairs), similarities: Float32Array.from(similarities) };
}

/** Side of the grid over image 0, in cells, from which the matches to be seen are taken in turn. */
const CELLS = 12;

/**
 * The numbers of at most `most` matches that are spread over image 0: the most similar of each cell of a grid, then the
 * second of each, and so on. So a few lines show the whole image.
 */
export function spread(matches: Matches, keypoints0: Float32Array, size: [number, number], most: number): number[] {
  const order = [...matches.similarities.keys()].sort((a, b) => matches.similarities[b] - matches.similarities[a]);
  if (order.length <= most) return order;
  const cells = new Map<number, number>();
  const turn = order.map((match) => {
    const index = matches.pairs[2 * match];
    const [column, row] = [0, 1].map((axis) => Math.floor(((keypoints0[2 * index + axis] + 0.5) / size[axis]) * CELLS));
    const cell = row * CELLS + column;
    const before = cells.get(cell) ?? 0;
    cells.set(cell, before + 1);
    return { match, before };
  });
  return turn // a stable sort, so the more similar of one turn stay first
    .sort((a, b) => a.before - b.before)
    .slice(0, most)
    .map(({ match }) => match);
}
