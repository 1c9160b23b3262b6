import { expOfNegative } from '../../codegen/math.js';
import type { I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import type { TilePosition } from './forward.js';
import type { AttendTiles } from './layout.js';
import type { Expressions } from './spec.js';

export interface WeighedTile {
  readonly weights: Pointer;
  readonly dscores: Pointer;
  readonly count: I32;
  readonly logsumexp: Pointer;
  readonly delta: Pointer;
  readonly at: TilePosition;
}

/**
 * In place, for one step of a panel: scores → weights P = exp(score′ − logsumexp), and dP → dS = P ⊙ (dP − δ) ⊙ ∂score.
 *
 * `onChange` sees dScore′ = P ⊙ (dP − δ) of each line, before the slope, and how to make numbers 0 where a pair is hidden.
 */
export function weigh(
  k: VectorBuilder,
  t: AttendTiles,
  expressions: Expressions,
  partial: I32,
  x: WeighedTile,
  onChange?: (j: I32, v: number, change: VF, raw: VF, only: (value: VF) => VF) => void,
): void {
  const { spec } = expressions;
  const lanes = x.at.positions.map((_, v) => {
    const logsumexp = k.loadVF(x.logsumexp, 4 * v * k.width);
    // a row without any key has no weights; its scores must not meet −∞ − −∞
    const base = k.select(k.eq(logsumexp, -Infinity), k.constant('vf', 0), logsumexp);
    return { base, delta: k.loadVF(x.delta, 4 * v * k.width) };
  });
  const allow = (allowed: VI | undefined, score: VF): VI | undefined => {
    if (!spec.hides) return allowed;
    const seen = k.ne(score, -Infinity);
    return allowed ? k.and(allowed, seen) : seen;
  };
  const sweep = (masked: boolean): void =>
    k.loop(0, x.count, (j) => {
      const [line, dline] = [k.offset(x.weights, j, 4 * t.panel), k.offset(x.dscores, j, 4 * t.panel)];
      lanes.forEach(({ base, delta }, v) => {
        const at = 4 * v * k.width;
        const position = { ...x.at, k: k.add(x.at.k0, j), q: x.at.positions[v]! };
        const raw = k.loadVF(line, at);
        const score = expressions.score(position, raw);
        const allowed = allow(masked ? expressions.mask(position) : undefined, score);
        const only = (value: VF): VF => (allowed ? k.select(allowed, value, 0) : value);
        const weight = only(expOfNegative(k, k.sub(score, base)));
        const change = only(k.mul(weight, k.sub(k.loadVF(dline, at), delta)));
        const slope = expressions.slope(position, raw);
        k.store(line, weight, at);
        k.store(dline, slope ? only(k.mul(change, slope)) : change, at);
        onChange?.(j, v, change, raw, only);
      });
    });
  if (spec.mask) {
    k.if(
      partial,
      () => sweep(true),
      () => sweep(false),
    );
  } else sweep(false);
}
