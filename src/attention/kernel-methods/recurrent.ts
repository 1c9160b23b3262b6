import { mul, recurrentAttend, reshape, rmsNorm, silu } from '../../ops/index.js';
import { repeatHeads } from '../../ops/repeat-heads.js';
import { full, type Tensor } from '../../tensor/index.js';
import type { Call, Cost, ForwardResult } from '../define.js';
import { realKeys } from '../real-keys.js';
import { choice, type AttentionShape } from '../options.js';

/** What a state of fixed size reads at each position, by key head: `decay` `[B, G, S]` or `[B, G, S, D]`, `beta` `[B, G, S]`. */
export interface Steps {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly decay?: Tensor;
  readonly beta?: Tensor;
}

export type Recurrent = ForwardResult & { readonly state: Readonly<Record<'sums', Tensor>> };

/** `recurrentAttend` of a call with queries times its scale; a head of keys is one state for each query head that shares it. */
export function attendRecurrently(
  { v, shape: { H }, lengths, scale }: Pick<Call, 'v' | 'shape' | 'lengths' | 'scale'>,
  { q, k, decay, beta }: Steps,
  state: Readonly<Record<string, Tensor>> = {},
): Recurrent {
  const { out, state: sums } = recurrentAttend(mul(q, scale), repeatHeads(k, H), repeatHeads(v, H), {
    ...(decay && { decay: repeatHeads(decay, H) }),
    ...(beta && { beta: repeatHeads(beta, H) }),
    ...(state['sums'] && { initialState: state['sums'] }),
    ...(lengths && { lengths }),
  });
  return { out, state: { sums } };
}

/** Products with a state `[D, E]` of each query head, `sides` at a position, and `gates` numbers of each row of a gate. */
export const recurrentCost = ({ B, H, G, S, D, E }: AttentionShape, sides: 2 | 3, gates: number): Cost => ({
  multiplyAdds: B * H * S * D * E * sides + B * G * S * E * gates,
});

/** What makes rows of queries and keys that a delta rule takes. */
export const featureMap = choice(['silu', 'identity'], {
  default: 'silu',
  help: 'φ of queries and keys, whose rows are then divided by their length: x·σ(x); x',
});

const least = 1e-6;

/** φ(x) / √(‖φ(x)‖² + 1e-6) */
export function unitRows(x: Tensor, map: 'silu' | 'identity'): Tensor {
  const D = x.shape.at(-1)!;
  const weight = full([D], D ** -0.5, { device: x.device });
  return rmsNorm(map === 'silu' ? silu(x) : x, { weight, epsilon: least / D });
}

/** What a delta rule reads: queries and keys as unit rows, and the gate, without padding. */
export function unitInputs({
  q,
  k,
  lengths,
  inputs,
  options: { featureMap: map },
}: Call<{ readonly featureMap: typeof featureMap }, string, 'gate'>): Readonly<Record<'q' | 'k' | 'gate', Tensor>> {
  return { q: unitRows(q, map), k: unitRows(realKeys(k, lengths), map), gate: realKeys(inputs.gate, lengths) };
}

/** `[B, G, S, 1]` as `[B, G, S]` */
export const onePerKey = (x: Tensor): Tensor => reshape(x, x.shape.slice(0, 3));

/** One number divided by its length is its sign. */
export const refuseSigns = ({ D }: AttentionShape): readonly string[] =>
  D < 2 ? [`D must be at least 2, as rows are divided by their length; got ${D}`] : [];
