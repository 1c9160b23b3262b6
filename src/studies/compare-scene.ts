import type { AttentionShape } from '../attention/index.js';
import { normal } from '../core/random.js';
import type { Device } from '../devices/index.js';
import { tensor, type Tensor } from '../tensor/index.js';
import { callOf, isCausal, type Variant } from './mechanisms.js';
import {
  keysSeen,
  type Problem,
  referenceRow,
  type ReferenceRow,
  type Row,
  sampleRows,
  type Support,
} from './reference.js';

export interface SceneOptions {
  readonly causal: boolean;
  /** Forward and backward. */
  readonly training: boolean;
  readonly seed: number;
}

/** A problem on the device, and what results are held to. */
export interface Scene extends SceneOptions {
  readonly device: Device;
  readonly problem: Problem;
  readonly shape: AttentionShape;
  readonly inputs: readonly [q: Tensor, k: Tensor, v: Tensor];
  /** Of a training step: the gradient of the output, on both sides. */
  readonly cotangent: { readonly device: Tensor; readonly host: Float32Array } | undefined;
  readonly sampled: readonly SampledRow[];
  readonly dispose: () => void;
}

interface SampledRow extends Row {
  readonly target: { readonly full: ReferenceRow; readonly causal: ReferenceRow };
  /** By the variant that computes with these pairs. */
  readonly own: ReadonlyMap<Variant, ReferenceRow>;
}

/** Few numbers have small errors in plain float32 code by luck, and the budget follows these: never fewer than 32 rows in all. */
export const rowsPerHead = (heads: number): number => Math.max(8, Math.ceil(32 / heads));

export const shapeOf = (heads: number, headDim: number, length: number): AttentionShape => ({
  B: 1,
  H: heads,
  G: heads,
  L: length,
  S: length,
  D: headDim,
  E: headDim,
});

/** The pairs that an exact mechanism computes with; undefined for one that is not exact on any. */
export function supportOf(variant: Variant, shape: AttentionShape, options: SceneOptions): Support | undefined {
  const { mechanism } = variant;
  const { exactness, pattern } = mechanism.definition;
  const causal = isCausal(variant, options.causal);
  if (exactness === 'exact') return { causal, mask: undefined };
  if (exactness !== 'exact on its support' || pattern === undefined) return undefined;
  return { causal, mask: mechanism.pattern(shape, callOf(variant, options)) };
}

/** Uploads a problem and computes what its results are held to; `variants` are those that will run. */
export function stage(device: Device, problem: Problem, variants: readonly Variant[], options: SceneOptions): Scene {
  const { heads, length, headDim } = problem;
  const { training, seed } = options;
  const shape = shapeOf(heads, headDim, length);
  const targets = { full: { causal: false, mask: undefined }, causal: { causal: true, mask: undefined } };
  const own = variants.flatMap((variant) => {
    const support = supportOf(variant, shape, options);
    // all pairs are a target already
    return support?.mask === undefined ? [] : [{ variant, support }];
  });
  const seen = [targets.full, targets.causal, ...own.map(({ support }) => support)].map((support) =>
    keysSeen(support, problem),
  );
  const sampled = sampleRows(heads, length, rowsPerHead(heads), seed).map((row): SampledRow => {
    const [full, causal, ...rest] = referenceRow(problem, row, seen);
    return {
      ...row,
      target: { full: full!, causal: causal! },
      own: new Map(own.map(({ variant }, i) => [variant, rest[i]!])),
    };
  });
  const upload = (x: Float32Array, requiresGradient: boolean): Tensor =>
    tensor(x, [1, heads, length, headDim], { device, requiresGradient });
  const inputs = [upload(problem.q, training), upload(problem.k, training), upload(problem.v, training)] as const;
  const host = training ? normal(seed, 'compare cotangent', heads * length * headDim) : undefined;
  const cotangent = host && { host, device: upload(host, false) };
  const dispose = (): void => [...inputs, ...(cotangent ? [cotangent.device] : [])].forEach((x) => x.dispose());
  return { ...options, device, problem, shape, inputs, cotangent, sampled, dispose };
}

/** Features of a position depend on what is before it only, so shorter problems are prefixes. */
export function prefixOf(all: Problem, length: number): Problem {
  const { heads, headDim, length: full } = all;
  const cut = (x: Float32Array): Float32Array => {
    const out = new Float32Array(heads * length * headDim);
    for (let h = 0; h < heads; h++) {
      const from = h * full * headDim;
      out.set(x.subarray(from, from + length * headDim), h * length * headDim);
    }
    return out;
  };
  return { heads, headDim, length, q: cut(all.q), k: cut(all.k), v: cut(all.v) };
}
