import type { AttentionShape, Mechanism } from '../../../src/attention/index.js';
import type { Device } from '../../../src/devices/index.js';
import type { Oracle } from '../../oracles/graph.js';
import type { Kind } from '../../support/devices.js';
import type { Data } from './data.js';
import { Answers } from './expected.js';

export type Options = Readonly<Record<string, unknown>>;

/** One call of a mechanism. */
export interface Case {
  readonly shape: AttentionShape;
  readonly options: Options;
  readonly causal: boolean;
  readonly lengths?: readonly number[];
  readonly scale?: number;
  /** A soft-cap of the scores at 2. */
  readonly softcap?: boolean;
  /** Whether further projections are left to q, k and v; default false: they get numbers of their own. */
  readonly plain?: boolean;
  /** Replaces the drawn parameters it names. */
  readonly parameters?: ParameterRule;
}

/** Numbers of a parameter, or undefined to leave them as drawn. */
export type ParameterRule = (name: string, shape: readonly number[], drawn: Float32Array) => Float32Array | undefined;

/** Where a mechanism is exact attention. */
export interface ExactCase<O> {
  readonly options?: Partial<O>;
  /** Changes of `{ B: 2, H: 2, G: 2, L: 17, S: 17, D: 8, E: 8 }`. */
  readonly shape?: Partial<AttentionShape>;
  /** Default: both ways, where supported. */
  readonly causal?: boolean;
  readonly parameters?: ParameterRule;
  /** What it then equals; default softmax attention over all allowed pairs. */
  readonly equals?: Oracle<O>;
  /** Largest difference of the two formulas in float64, relative to the largest number; default 1e-9. */
  readonly within?: number;
}

/** What a mechanism is held to, beside what it declares itself. */
export interface GateSpec<O = Options> {
  /** The paper's formula; see `tests/oracles/graph.ts`. */
  readonly oracle: Oracle<O>;
  /** Option sets that are tried with every check; default the defaults. Name at least one that makes a difference at length 17. */
  readonly options?: readonly Partial<O>[];
  /** Further shapes for the comparison with the oracle. */
  readonly shapes?: readonly AttentionShape[];
  /** Lengths in place of 17, 37 and 131 for mechanisms that take only some; what it refuses is left out. */
  readonly sizes?: readonly [small: number, middle: number, large: number];
  readonly exactWhen?: readonly ExactCase<O>[];
  /**
   * The effective weights, read by values that are unit vectors: `'stochastic'` (default) at least 0 with rows that sum to 1;
   * `'normalised'` only the sum; `'positive'` only the sign; `'signed'` neither; `'none'`: the output is not linear in v.
   */
  readonly weights?: 'stochastic' | 'normalised' | 'positive' | 'signed' | 'none';
  /**
   * `'strict'` (default): the future changes nothing. `'weights'`: it has weight 0 and no gradient, but may change what is selected
   * (hashes, clusters).
   */
  readonly causality?: 'strict' | 'weights';
  /**
   * What a returned logsumexp is, heads of `[L × 1]`; see `rowLogsumexp`. Needed where it is not that of scale·q·kᵀ over the
   * pattern.
   */
  readonly logsumexp?: Oracle<O>;
  /**
   * Why NaN that nobody may see spreads, where plain products with weights of 0 are taken: 0·NaN. It is then left out of the
   * check; other numbers and 1e9 stay. A kernel that skips hidden pairs needs no such excuse.
   */
  readonly nanSpreads?: { readonly future?: string; readonly padding?: string };
  /** Draws options for random cases in place of the ranges of the definition. */
  readonly draw?: (next: () => number, shape: AttentionShape) => Partial<O>;
  /** Calls that `refuse` must refuse. */
  readonly refused?: readonly { readonly options?: Partial<O>; readonly shape?: Partial<AttentionShape> }[];
  /** Shapes for the cost formula; default 512 and 1000 tokens, 4 heads of 64. */
  readonly costShapes?: readonly AttentionShape[];
  /** Changes the random numbers of every case. */
  readonly seed?: number;
  /** Changes the data of a case in place, where a formula needs special numbers. */
  readonly prepare?: (data: Data, shape: AttentionShape, one: Case) => void;
  /** Checks that do not apply, by name, each with the reason, which the report shows. */
  readonly except?: Readonly<Record<string, string>>;
}

/** A mechanism under its gate; answers of the oracle are shared between devices. */
export interface Gated {
  readonly mechanism: Mechanism;
  readonly spec: GateSpec;
  readonly answers: Answers;
}

export interface On {
  readonly kind: Kind;
  readonly device: Device;
}

/** @throws where the mechanism does not keep what the check is named after. */
export type Check = (gated: Gated, on: On) => Promise<void>;

export function gated(mechanism: unknown, spec: GateSpec): Gated {
  const one = mechanism as Mechanism;
  return { mechanism: one, spec, answers: new Answers(one, spec) };
}
