import { lookup, select, type F32, type I32 } from '../../codegen/expression/index.js';
import type { AttendShape } from '../../masks/index.js';
import { integerTable, Score, type ScorePlace } from '../../scores/index.js';
import type { Tensor } from '../../tensor/tensor.js';

/** A pair of the gathered rows: `q` and `k` are places in the lists (`q` in the numbering of the keys, as everywhere). */
export interface GatheredPlace extends ScorePlace {
  /** The row of q that the query was, and the row of k that the key was. */
  readonly queryPosition: I32;
  readonly keyPosition: I32;
}

/** A change of the score of a gathered pair; −∞ hides it. */
export type GatheredScore = (pair: GatheredPlace, shape: AttendShape) => F32;

export interface RuleOptions {
  readonly queryOrder: Tensor | undefined;
  readonly keyOrder: Tensor | undefined;
  /** How far the first key is before the first query under a causal rule, S − L of the whole; undefined: not causal. */
  readonly causalShift: number | undefined;
  readonly rule: GatheredScore | undefined;
}

/** The score change of a call, over places. */
export function scoreOf({ queryOrder, keyOrder, causalShift, rule }: RuleOptions): Score | undefined {
  if (rule === undefined && causalShift === undefined) return undefined;
  return new Score('score', (place, shape) => {
    const { b, h, q, k, score } = place;
    const { H, G, L, S } = shape;
    const row = q.sub(S - L);
    const keyHead = G === H ? h : h.floorDiv(H / G);
    const queryPosition = queryOrder === undefined ? row : lookup(integerTable('queryOrder', queryOrder), b, h, row);
    const keyPosition = keyOrder === undefined ? k : lookup(integerTable('keyOrder', keyOrder), b, keyHead, k);
    const changed = rule === undefined ? score : rule({ ...place, queryPosition, keyPosition }, shape);
    if (causalShift === undefined) return changed;
    return select(keyPosition.le(queryPosition.add(causalShift)), changed, -Infinity);
  });
}
