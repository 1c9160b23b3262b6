import type { AnyOptions, Mechanism } from '../../../src/attention/index.js';
import { sizeOf } from '../../../src/core/shape.js';
import { normal } from '../../support/random.js';
import type { Case, GateSpec, Options } from './spec.js';

export interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The numbers of a case, as both the library and the oracle get them. */
export interface Data {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly parameters: Readonly<Record<string, Numbers & { readonly learned: boolean }>>;
  readonly inputs: Readonly<Record<string, Numbers & { readonly of: 'q' | 'k' | 'v' }>>;
  /** What stands in for further projections that are not given. */
  readonly standIns: Readonly<Record<string, 'q' | 'k' | 'v'>>;
  /** The cotangent of the output; 0 for queries that are padding. */
  readonly dout: Float32Array;
  /** All options, with defaults for the shape. */
  readonly options: Options;
  readonly seed: number;
}

/** What the caller says, in the names of the library; tensors are added by `run`. */
export function callOptions({ options, causal, lengths, scale }: Case): AnyOptions {
  return { ...options, causal, ...(lengths && { lengths }), ...(scale !== undefined && { scale }) };
}

export function makeData(mechanism: Mechanism, spec: GateSpec, one: Case, seed = spec.seed ?? 1): Data {
  const { B, H, G, L, S, D, E } = one.shape;
  const { definition } = mechanism;
  const { values } = mechanism.settle(one.shape, callOptions(one));
  const sizes = { q: [B, H, L, D], k: [B, G, S, D], v: [B, G, S, E] };
  const random = (n: number, shape: readonly number[]): Float32Array => normal(97 * seed + n, sizeOf(shape));
  const specs = Object.entries(definition.parameters?.(one.shape, values) ?? {});
  const parameters = specs.map(([name, { shape, init, learned }], n) => {
    const drawn = init(shape, seed, `${mechanism.name} ${name}`);
    // zeros, ones and identities would hide most errors
    const moved = random(40 + n, shape).map((x, i) => drawn[i]! + 0.3 * x);
    const data = one.parameters?.(name, shape, drawn) ?? (learned ? moved : drawn);
    return [name, { shape, data, learned }] as const;
  });
  const named = one.plain === true ? [] : Object.entries(definition.inputs ?? {});
  const inputs = named.map(
    ([name, of], n) => [name, { shape: sizes[of], data: random(20 + n, sizes[of]), of }] as const,
  );
  const dout = random(3, [B, H, L, E]);
  const data: Data = {
    q: random(0, sizes.q),
    k: random(1, sizes.k),
    v: random(2, sizes.v),
    parameters: Object.fromEntries(parameters),
    inputs: Object.fromEntries(inputs),
    standIns: definition.inputs ?? {},
    dout: dout.map((x, at) => (isReal(one, at, E) ? x : 0)),
    options: values,
    seed,
  };
  spec.prepare?.(data, one.shape, one);
  return data;
}

/** Whether element `at` of `[B, H, L, columns]` belongs to a query that is no padding: with L = S, queries are the same tokens as keys. */
export function isReal({ shape: { H, L, S }, lengths }: Case, at: number, columns: number): boolean {
  if (lengths === undefined || L !== S) return true;
  const row = Math.floor(at / columns);
  return row % L < lengths[Math.floor(row / (H * L))]!;
}
