import type { F32, I32, Pointer, VectorBuilder, VI } from '../../codegen/vector.js';
import { philox } from '../philox.js';
import type { AttendTiles } from './layout.js';

export interface DropoutParameters {
  readonly seedLow: I32;
  readonly seedHigh: I32;
  readonly keepBelow: I32;
  readonly keepFactor: F32;
}

export interface DropoutTile {
  readonly lines: Pointer;
  readonly count: I32;
  readonly k0: I32;
  readonly firstQuery: I32;
  readonly head: I32;
  readonly residue: I32;
  readonly period: number;
}

/**
 * Zeroes what dropout drops and multiplies what it keeps by 1/(1 − rate). Whether a pair is kept depends on (seed, head,
 * query, key) alone: on bits of word `key mod 4` of the Philox block (query, ⌊key / 4⌋, head).
 */
export function dropTile(k: VectorBuilder, t: AttendTiles, p: DropoutParameters, x: DropoutTile): void {
  const { period, residue } = x;
  const factor = k.splat(p.keepFactor);
  const drop = (line: Pointer, at: number, word: VI): void => {
    const keep = k.lt(k.shrUnsigned(word, 1), k.splat(p.keepBelow));
    k.store(line, k.select(keep, k.mul(k.loadVF(line, at), factor), 0), at);
  };
  const line = (j: I32): Pointer => k.offset(x.lines, j, 4 * t.panel);
  // the row or key of a place in the residue class
  const outside = (place: I32): I32 => (period === 1 ? place : k.add(k.mul(place, period), residue));
  const lanes = period === 1 ? k.iota() : k.mul(k.iota(), k.constant('vi', period));
  const block = (v: number, key: I32): readonly VI[] => {
    const query = k.add(lanes, k.splat(outside(k.add(x.firstQuery, v * k.width))));
    const counter = [query, k.splat(k.shrUnsigned(key, 2)), k.splat(x.head), k.constant('vi', 0)] as const;
    return philox(k, counter, [p.seedLow, p.seedHigh]);
  };
  const vectors = Array.from({ length: t.vectors }, (_, v) => v);
  if (period === 1) {
    // a block serves four keys, and steps start at multiples of four
    const step = (j: I32): void =>
      vectors.forEach((v) =>
        block(v, k.add(x.k0, j)).forEach((word, i) => drop(line(k.add(j, i)), 4 * v * k.width, word)),
      );
    k.loop(0, x.count, step, 4);
    return;
  }
  // the four keys of a block are in different classes, so each needs a block of its own
  k.loop(0, x.count, (j) => {
    const key = outside(k.add(x.k0, j));
    const which = k.and(key, 3);
    vectors.forEach((v) => {
      const [w0, w1, w2, w3] = block(v, key) as [VI, VI, VI, VI];
      const word = k.variable('vi', w0);
      [w1, w2, w3].forEach((other, i) => k.if(k.eq(which, i + 1), () => k.assign(word, other)));
      drop(line(j), 4 * v * k.width, word);
    });
  });
}
