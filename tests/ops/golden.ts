import { existsSync, readFileSync } from 'node:fs';
import type { AttendProblem, Pair, ScoreStep } from '../oracles/attend.js';
import * as rules from '../oracles/rules.js';
import { readSafetensors, type StoredTensor } from '../support/safetensors.js';

/** One entry of cases.json. */
export interface GoldenCase {
  readonly name: string;
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
  readonly causal: boolean;
  readonly mask: GoldenMask | null;
  readonly score: GoldenScore | null;
  readonly scale: number;
  readonly pairs: number;
}
export type GoldenMask =
  | { readonly kind: 'radius'; readonly radius: number }
  | { readonly kind: 'leftRight'; readonly left: number; readonly right: number }
  | { readonly kind: 'radiusOrGlobal'; readonly radius: number; readonly global: readonly number[] }
  | { readonly kind: 'prefix'; readonly prefix: number }
  | { readonly kind: 'dilated'; readonly dilation: number; readonly radiusSlots: number }
  | { readonly kind: 'strided'; readonly stride: number }
  | { readonly kind: 'fixed'; readonly stride: number; readonly columns: number }
  | { readonly kind: 'document' | 'lengths' | 'dense' };
export type GoldenScore =
  | { readonly kind: 'softcap'; readonly cap: number }
  | { readonly kind: 't5'; readonly buckets: number; readonly maxDistance: number; readonly bidirectional: boolean }
  | { readonly kind: 'alibi' | 'bias' };

export type Tensors = Readonly<Record<string, StoredTensor>>;

const stored = new URL('../fixtures/attend/', import.meta.url);
/** The set the fixtures are taken from; a stranger's clone does not have it. */
export const fullSet = new URL('../../../shared/golden/attend/', import.meta.url);
export const hasFullSet = existsSync(fullSet);

export const goldenCases = JSON.parse(readFileSync(new URL('cases.json', stored), 'utf8')) as readonly GoldenCase[];

export const goldenTensors = (name: string, folder: URL = stored): Tensors =>
  readSafetensors(new URL(`${name}.safetensors`, folder));

/** The case for the oracle, its masks and scores as plain functions. */
export function goldenProblem(c: GoldenCase, x: Tensors): AttendProblem {
  const problem = { ...c, q: x.q!.data, k: x.k!.data, v: x.v!.data };
  const allowed = allowedPairs(c, x);
  return { ...problem, ...(allowed && { allowed }), score: scoreSteps(c, x) };
}

function allowedPairs(c: GoldenCase, x: Tensors): ((at: Pair) => boolean) | undefined {
  // causality is part of the prefix rule, not added to it
  if (c.mask?.kind === 'prefix') return rules.prefix(c.mask.prefix)(c);
  if (c.mask === null) return c.causal ? rules.causal(c) : undefined;
  const rule = maskRule(c.mask, x);
  return (c.causal ? rules.both(rules.causal, rule) : rule)(c);
}

function maskRule(mask: Exclude<GoldenMask, { kind: 'prefix' }>, x: Tensors): ReturnType<typeof rules.dense> {
  switch (mask.kind) {
    case 'radius':
      return rules.window(mask.radius, mask.radius);
    case 'leftRight':
      return rules.window(mask.left, mask.right);
    case 'radiusOrGlobal':
      return rules.windowOrGlobal(mask.radius, mask.global);
    case 'document':
      return rules.document(x.documents!.data);
    case 'lengths':
      return rules.lengths(x.lengths!.data);
    case 'dilated':
      return rules.dilated(mask.dilation, mask.radiusSlots);
    case 'strided':
      return rules.strided(mask.stride);
    case 'fixed':
      return rules.fixed(mask.stride, mask.columns);
    case 'dense':
      return rules.dense(x.allowed!.data);
  }
}

function scoreSteps(c: GoldenCase, x: Tensors): readonly ScoreStep[] {
  switch (c.score?.kind) {
    case undefined:
      return [];
    case 'softcap':
      return [rules.softcap(c.score.cap)];
    case 'alibi':
      return [rules.alibi(c)];
    case 't5':
      return [rules.t5(x.table!.data, c.score, c)];
    case 'bias':
      return [rules.bias(x.bias!.data, x.bias!.shape)];
  }
}

/** What the reference says of a tensor, and the same rows of what we got. */
export function sameRows(
  x: Tensors,
  name: string,
  got: ArrayLike<number>,
): { want: ArrayLike<number>; got: ArrayLike<number> } {
  const want = x[name]!;
  const rows = x[`${name}.rows`]?.data;
  if (rows === undefined) return { want: want.data, got };
  const columns = want.shape.at(-1)!;
  return {
    want: want.data,
    got: Array.from(rows).flatMap((row) => Array.from({ length: columns }, (_, c) => got[row * columns + c]!)),
  };
}
