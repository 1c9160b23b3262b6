import { lookup } from '../codegen/expression/index.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValues, oneOf, wholeFrom } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { mul, neg } from '../ops/arithmetic.js';
import { attend, type Attended, type AttendOptions } from '../ops/attend.js';
import { argument, mapNamed } from '../ops/map.js';
import { matmul } from '../ops/matmul.js';
import { broadcastTo, concat, reshape, split, transpose } from '../ops/shape.js';
import { Score } from '../scores/index.js';
import { checkTensor, tensorTable, type TensorLike } from '../scores/tensor.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import { ropeAngles } from './angles.js';
import { rope } from './rope.js';
import { sinusoidal } from './sinusoidal.js';

/** What the heads of one layer learn; Hugging Face calls them `r_net.weight`, `r_w_bias` and `r_r_bias`. */
export interface RelativeParameters {
  /** W_R `[H·D, M]`: projects the sinusoidal embedding of a distance, of any even size M. */
  readonly weight: Tensor;
  /** u `[H, D]`, added to the query where it meets a key. */
  readonly contentBias: Tensor;
  /** v `[H, D]`, added to the query where it meets a distance. */
  readonly positionBias: Tensor;
}

export interface RelativeOptions extends Pick<AttendOptions, 'mask' | 'scale' | 'dropout'> {
  /** Distances from here on count as this one; default: none. */
  readonly clamp?: number;
  /** Default 10000. */
  readonly base?: number;
  /** `'table'` (default) or `'rotated'`; see `relativeAttend`. */
  readonly method?: 'table' | 'rotated';
}

const requirements = {
  mask: anything,
  scale: anything,
  dropout: anything,
  clamp: {
    must: `${wholeFrom(0).must}, or Infinity`,
    holds: (x: unknown) => x === Infinity || wholeFrom(0).holds(x),
  },
  base: anything,
  method: oneOf(['table', 'rotated']),
};

/**
 * Causal attention with the four terms of Transformer-XL, for the key j at distance t = i − j from the query i:
 * `scale · ((q_i + u)·k_j + (q_i + v)·(W_R R_t))`, R_t the sinusoidal embedding of t, sines before cosines. `q` `[B,H,L,D]`,
 * `k` `[B,G,S,D]`, `v` `[B,G,S,E]`: the S − L keys before the queries are the memory. Differentiable in all of them and in the
 * parameters. (Dai et al. 2019, arXiv 1901.02860.)
 *
 * Both methods give the same numbers. `'table'` projects the distances, multiplies the queries with them, and has the
 * attention kernel look the second term up: N = min(S, clamp + 1) distances cost L·N·D multiply-adds and 4·B·H·L·N bytes,
 * and as much again for gradients. `'rotated'` needs no table: by the sum of angles the second term is the product of the
 * rotary embedding of `W_Rᵀ(q_i + v)` with that of a constant, so the queries and keys become D + M long; D + M ≤ 2048, no clamp.
 *
 * @throws ShapeError or OptionError naming what does not fit.
 */
export function relativeAttend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  parameters: RelativeParameters,
  options: RelativeOptions = {},
): Attended {
  const who = 'relativeAttend';
  checkValues(who, options, requirements);
  checkValues(who, parameters, { weight: anything, contentBias: anything, positionBias: anything });
  checkSizes(who, q, k, parameters);
  const { clamp = Infinity, method = 'table', base = 10000, scale = 1 / Math.sqrt(q.shape[3]!), ...rest } = options;
  const call = { q, k, v, ...parameters, clamp, base, scale, rest };
  return method === 'table' ? withTable(call) : withRotation(who, call);
}

interface Call extends RelativeParameters, Readonly<Record<'q' | 'k' | 'v', Tensor>> {
  readonly clamp: number;
  readonly base: number;
  readonly scale: number;
  readonly rest: Pick<AttendOptions, 'mask' | 'dropout'>;
}

function checkSizes(who: string, q: Tensor, k: Tensor, parameters: RelativeParameters): void {
  const { weight, contentBias, positionBias } = parameters;
  commonDevice(who, [q, k, weight, contentBias, positionBias]);
  const [, H, L, D] = q.shape;
  const S = k.shape[2];
  const biases = [contentBias, positionBias].every(
    ({ shape }) => shape.length === 2 && shape[0] === H && shape[1] === D,
  );
  if (q.rank !== 4 || k.rank !== 4 || weight.rank !== 2 || weight.shape[0] !== H! * D! || !biases || S! < L!) {
    throw new ShapeError(
      `${who}: q must be [B,H,L,D], k [B,G,S,D] with S ≥ L, weight [H·D,M], contentBias and positionBias [H,D]; got ` +
        `q=${show(q.shape)}, k=${show(k.shape)}, weight=${show(weight.shape)}, contentBias=${show(contentBias.shape)}, ` +
        `positionBias=${show(positionBias.shape)}.`,
    );
  }
  if (weight.shape[1]! % 2 !== 0) {
    throw new ShapeError(`${who}: weight must have an even number M of columns; got weight=${show(weight.shape)}.`);
  }
}

const sum = argument(0).add(argument(1));

/** `x + bias` for a bias `[H, D]` of every head, stored as x is. */
const plus = (x: Tensor, bias: Tensor): Tensor =>
  mapNamed('relativeAttend', sum, [x, reshape(bias, [bias.shape[0]!, 1, bias.shape[1]!])], x.dtype);

/**
 * The terms as other queries, `q + u`, and a change of the scores, which looks up `scale · (q_i + v)·(W_R R_t)`: what any causal attention
 * that takes a score computes them with. Its tensors belong to the scope around it.
 *
 * @internal
 */
export function relativeTerms(
  q: Tensor,
  { weight, contentBias, positionBias }: RelativeParameters,
  { keys, clamp = Infinity, base = 10000, scale }: RelativeSizes,
): { readonly q: Tensor; readonly score: Score } {
  const [, H, , D] = q.shape as [number, number, number, number];
  const count = Math.min(keys, clamp + 1);
  const logits = scope(() => {
    const distances = sinusoidal(count, weight.shape[1]!, { variant: 'transformer-xl', base, device: q.device }); // [N, M]
    const projected = reshape(matmul(distances, weight, { transposeB: true }), [count, H, D]);
    return matmul(mul(plus(q, positionBias), scale), transpose(projected, [1, 2, 0])); // [B, H, L, N]
  });
  return { q: plus(q, contentBias), score: relativeScore(logits) };
}

interface RelativeSizes extends Pick<RelativeOptions, 'clamp' | 'base'> {
  /** S: there are as many distances, or clamp + 1. */
  readonly keys: number;
  readonly scale: number;
}

function withTable({ q, k, v, clamp, base, scale, rest, ...parameters }: Call): Attended {
  let counters: Attended['counters'];
  const values = scope(() => {
    const terms = relativeTerms(q, parameters, { keys: k.shape[2]!, clamp, base, scale });
    const attended = attend(terms.q, k, v, { ...rest, causal: true, scale, score: terms.score });
    ({ counters } = attended);
    return { out: attended.out, logsumexp: attended.logsumexp };
  });
  return { ...values, counters: counters! };
}

function withRotation(who: string, call: Call): Attended {
  const { q, k, v, weight, contentBias, positionBias, clamp, base, scale, rest } = call;
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [G, S, M] = [k.shape[1]!, k.shape[2]!, weight.shape[1]!];
  if (clamp < S - 1) {
    throw new OptionError(`${who}: method rotated does not clamp distances; got clamp=${clamp}. Use method table.`);
  }
  if (D + M > 2048) {
    throw new OptionError(`${who}: method rotated takes D + M ≤ 2048; got D=${D}, M=${M}. Use method table.`);
  }
  let counters: Attended['counters'];
  const values = scope(() => {
    // sin((i−j)ω) = sin iω cos jω − cos iω sin jω and its like for cos: columns of cosines first, those of sines negated
    const [sines, cosines] = split(reshape(weight, [H, D, M]), [M / 2, M / 2], { axis: -1 }) as [Tensor, Tensor];
    const turned = matmul(plus(q, positionBias), concat([cosines, neg(sines)], { axis: -1 })); // [B, H, L, M]
    const queries = concat([plus(q, contentBias), rope(turned, { offset: S - L, base })], { axis: -1 });
    const angles = ropeAngles(S, { rotaryDim: M, base, device: q.device }); // [S, M]
    const keys = concat([k, broadcastTo(angles, [B, G, S, M])], { axis: -1 });
    const attended = attend(queries, keys, v, { ...rest, causal: true, scale });
    ({ counters } = attended);
    return { out: attended.out, logsumexp: attended.logsumexp };
  });
  return { ...values, counters: counters! };
}

/**
 * Adds a number for each query and distance: `score + logits[b, h, i, t]`, i the query's row and t = q − k, held within
 * 0 … N − 1. `logits` is `[B, H, L, N]`, already scaled; gradients flow to it. For causal attention, where t ≥ 0.
 *
 * @throws ShapeError where the tensor's shape does not fit the attention's.
 */
export function relativeScore(logits: TensorLike): Score {
  checkTensor('relativeScore', 'logits', logits);
  return new Score('relativeScore(logits)', ({ score, b, h, q, k }, { B, H, L, S }) => {
    const [, , , N = 0] = logits.shape;
    if (logits.shape.length !== 4 || [B, H, L].some((extent, dim) => logits.shape[dim] !== extent)) {
      throw new ShapeError(
        `relativeScore: logits must be [B,H,L,N]; got [${logits.shape.join(',')}] with B=${B}, H=${H}, L=${L}.`,
      );
    }
    const table = tensorTable('relativeScore', 'logits', logits);
    return score.add(
      lookup(
        table,
        b,
        h,
        q.sub(S - L),
        q
          .sub(k)
          .max(0)
          .min(N - 1),
      ),
    );
  });
}
