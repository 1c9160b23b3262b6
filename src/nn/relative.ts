import { constantOf, learned, normalOf, type ParameterSpec } from '../attention/parameters.js';
import type { Mechanism } from '../attention/index.js';
import { OptionError } from '../core/errors.js';
import { bothSides, type BothSidesParameters } from '../positions/both-sides.js';
import { relativeTerms } from '../positions/transformer-xl.js';
import { gather, slice } from '../ops/index.js';
import type { Score } from '../scores/index.js';
import { scope, tensor, type Tensor } from '../tensor/index.js';
import type { RelativePositions } from './position-options.js';
import type { Positions } from './positions.js';

/** What a layer with the terms of Transformer-XL is. */
export interface RelativeLayer {
  readonly features: number;
  readonly heads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly mechanism: Mechanism;
  readonly positions: Positions | undefined;
}

/** What the heads of a layer learn of distances and segments, by name, without what all layers share. */
export function relativeParameters(layer: RelativeLayer): Readonly<Record<string, ParameterSpec>> {
  checkRelative(layer);
  const { heads, headDim, features, causal } = layer;
  const positions = layer.positions!;
  const { components, segments } = positions.options as RelativePositions;
  const zeros = learned([heads, headDim], constantOf(0));
  const drawn = learned([heads, headDim], normalOf(1 / Math.sqrt(headDim)));
  // of distances on both sides, what a query makes of its position is beside its content: by default at most 256 together
  const M = components ?? (causal && !segments ? features : 2 * Math.floor(Math.min(features, 254 - headDim) / 2));
  return {
    weight: learned([heads * headDim, M], normalOf(1 / Math.sqrt(features))),
    ...(!positions.shared['contentBias'] && { contentBias: zeros, positionBias: zeros }),
    ...((positions.sizes.separateClass || segments) && { others: segments ? drawn : zeros, othersBias: zeros }),
    ...(segments && { different: drawn }),
  };
}

export interface RelativeCall {
  /** `[B, H, L, D]` and `[B, G, S, D]`; without pooling, the queries are of the last L rows. */
  readonly q: Tensor;
  readonly k: Tensor;
  /** Whether a query is of two rows. */
  readonly pooled: boolean;
  /** `[B, tokens]`, i32: the types of all tokens that the rows stand for. */
  readonly types: Tensor | undefined;
}

/** Queries, and a change of their scores or longer keys, that have the terms of distances. */
export function relativeTo(
  { headDim, causal, positions }: RelativeLayer,
  parameters: BothSidesParameters,
  { q, k, pooled, types }: RelativeCall,
): { readonly q: Tensor; readonly k?: Tensor; readonly score?: Score } {
  const { clamp, segments } = positions!.options as RelativePositions;
  // a table of distances is less work where they are as many as keys; two terms in one take longer keys
  if (!causal || segments) {
    const { separateClass = false, stride = 1 } = positions!.sizes;
    const places = positions!.places(pooled);
    const [L, S] = [q.shape[2]!, k.shape[2]!];
    // what is before the queries' own rows is a memory
    const before = pooled ? 0 : stride * (S - L);
    const queries = { ...places.queries, first: places.queries.first + before };
    const standing = { ...places, queries, separateClass };
    if (segments === undefined || types === undefined) return bothSides(q, k, parameters, standing);
    return scope(() => {
      const ofKeys = typesOf(types, S, stride, separateClass);
      const ofQueries = pooled
        ? typesOf(types, L, 2 * stride, separateClass)
        : slice(ofKeys, { axis: 1, start: S - L });
      return bothSides(q, k, parameters, {
        ...standing,
        segments: { ...segments, ofQueries, ofKeys },
      });
    });
  }
  const sizes = { keys: k.shape[2]!, scale: 1 / Math.sqrt(headDim), ...(clamp !== undefined && { clamp }) };
  return relativeTerms(q, parameters, sizes);
}

/** Of the types of all tokens those of the first token that each row stands for, `[B, rows]`; a class row is its own. */
function typesOf(types: Tensor, rows: number, stride: number, separateClass: boolean): Tensor {
  const L = types.shape[1]!;
  if (stride === 1 && rows === L) return types;
  const shift = separateClass ? stride - 1 : 0;
  const first = Int32Array.from({ length: rows }, (_, r) => Math.min(L - 1, Math.max(0, stride * r - shift)));
  return gather(types, tensor(first, [rows], { device: types.device }), { axis: 1 });
}

/** @throws OptionError where the terms of distances cannot be: an approximation sees queries and keys alone. */
function checkRelative({ mechanism, causal, positions }: RelativeLayer): void {
  const { supports, pattern, exactness, inputs } = mechanism.definition;
  const exact = exactness === 'exact' || (pattern && exactness === 'exact on its support');
  const { clamp, segments } = positions!.options as RelativePositions;
  if (clamp !== undefined && (!causal || segments)) {
    throw new OptionError(
      'Attention: position transformer-xl of attention to both sides, or with segments, takes no clamp; leave it out.',
    );
  }
  if (exact && !inputs && (supports.score || !causal || segments)) return;
  throw new OptionError(
    `Attention: position transformer-xl takes attention that is exact on its pairs, with no projections but q, k and v; got ${mechanism.name}. ` +
      'Use flash or sliding-window, or another position.',
  );
}
