import { memoised } from '../../core/memo.js';
import type { TileMap } from '../../masks/tiles.js';

/** Pairs of a key chunk and a query chunk that the backward pass visits together: no two have a chunk in common. */
export interface Step {
  /** How far the query chunks are ahead of the key chunks, modulo the number of chunks. */
  readonly ahead: number;
  /** The key chunks, as a stretch of `Steps.chunks`. */
  readonly first: number;
  readonly count: number;
}

export interface Steps {
  readonly steps: readonly Step[];
  /** The key chunks of all steps, one after the other. */
  readonly chunks: Int32Array;
}

/** The steps in which some pair of chunks has a tile to visit, and which: where few have, the others cost nothing. */
export const stepsOf = memoised(
  (tiles: TileMap, tilesPerChunk: number, blocksPerChunk: number, chunks: number): Steps => {
    const found = new Map<number, Set<number>>();
    const { rows, rowOffsets, runs } = tiles;
    for (let index = 0; index < rowOffsets.length - 1; index++) {
      const queryChunk = Math.floor((index % rows) / tilesPerChunk);
      for (let run = rowOffsets[index]!; run < rowOffsets[index + 1]!; run++) {
        const last = Math.floor((runs[3 * run + 1]! - 1) / blocksPerChunk);
        for (let keyChunk = Math.floor(runs[3 * run]! / blocksPerChunk); keyChunk <= last; keyChunk++) {
          const ahead = (queryChunk - keyChunk + chunks) % chunks;
          let step = found.get(ahead);
          if (step === undefined) found.set(ahead, (step = new Set()));
          step.add(keyChunk);
        }
      }
    }
    const listed: number[] = [];
    const steps = [...found]
      .sort(([a], [b]) => a - b)
      .map(([ahead, own]) => {
        const first = listed.length;
        for (const chunk of [...own].sort((a, b) => a - b)) listed.push(chunk);
        return { ahead, first, count: own.size };
      });
    return { steps, chunks: Int32Array.from(listed) };
  },
);
