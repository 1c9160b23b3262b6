import { key, tablesOf, type Expression, type Table } from '../../codegen/expression/index.js';
import { lower, lowerVector, type Environment, type Lowered, type TableBinding } from '../../codegen/lower.js';
import type { F32, I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import type { ParameterKind } from '../../codegen/kernel.js';

/** What an attention kernel is specialised to. Expressions read `score`, `b`, `h`, `q`, `k`, lifted constants and tables. */
export interface AttendSpec {
  readonly D: number;
  readonly E: number;
  readonly score: Expression | undefined;
  /** ∂score′/∂score; undefined where it is 1. */
  readonly slope: Expression | undefined;
  /** Whether the score hides pairs by the literal −∞: then they must not leak NaN, as those that the mask hides. */
  readonly hides: boolean;
  readonly mask: Expression | undefined;
  readonly constantTypes: readonly ('i32' | 'f32')[];
  readonly tables: readonly Table[];
  /** Table reads that are known to be in range; all others are checked, and give 0 outside. */
  readonly proven: ReadonlySet<Expression>;
  readonly dropout: boolean;
  /**
   * Positions c, c + period, c + 2·period, … attend among themselves only: a mask that implies q ≡ k (mod period) is
   * dense within a residue class. The mask then reads q and k as indices within the class. 1 where there is one class.
   */
  readonly period: number;
  /** Queries of a row of the tile map. */
  readonly queryTile: number;
  /** Keys of one block of the tile map. */
  readonly keyBlock: number;
}

export function specKey(spec: AttendSpec): string {
  const named = (e: Expression): string =>
    `${key(e)}@${tablesOf(e)
      .map((t) => spec.tables.indexOf(t))
      .join()}`;
  const expressions = [spec.score, spec.slope, spec.mask].map((e) => (e === undefined ? '-' : named(e)));
  const proven = [...spec.proven].map(key).sort();
  const { D, E, hides, dropout, period, queryTile, keyBlock } = spec;
  return [D, E, ...expressions, proven.join('&'), hides, dropout, period, queryTile, keyBlock].join('/');
}

/** Bytes of a table's entry: its address (8), then its dimensions (4 each). */
export const tableSlot = 48;

/** Parameters that every attention kernel takes. */
export const shared = {
  q: 'pointer',
  k: 'pointer',
  v: 'pointer',
  logsumexp: 'pointer',
  rowOffsets: 'pointer',
  runs: 'pointer',
  /** Lifted constants, 4 bytes each. */
  constants: 'pointer',
  /** Per table `tableSlot` bytes. */
  tables: 'pointer',
  H: 'i32',
  G: 'i32',
  L: 'i32',
  S: 'i32',
  /** Classes of the tile map per batch and per head: 0 where they share one. */
  classPerBatch: 'i32',
  classPerHead: 'i32',
  scale: 'f32',
  seedLow: 'i32',
  seedHigh: 'i32',
  /** Dropout keeps a pair whose random 31 bits are below this. */
  keepBelow: 'i32',
  keepFactor: 'f32',
  /** `flagCount` words, not 0 where an input holds NaN or Inf; read only with a mask. */
  flags: 'pointer',
} as const satisfies Record<string, ParameterKind>;

/** Words of `flags`. */
export const flagCount = 64;

/** A pair within its residue class. */
export interface Position {
  readonly b: I32;
  readonly h: I32;
  readonly k: I32;
  readonly q: VI;
  readonly residue: I32;
}

/** Where a mask is evaluated: queries or keys may be along the lanes. */
export interface MaskPosition extends Pick<Position, 'b' | 'h'> {
  readonly k: I32 | VI;
  readonly q: I32 | VI;
}

/** Binds the expressions of a spec to the program. */
export class Expressions {
  readonly #tables: readonly TableBinding[];
  readonly #constants: readonly (F32 | I32)[];

  constructor(
    readonly k: VectorBuilder,
    readonly spec: AttendSpec,
    constants: Pointer,
    tables: Pointer,
  ) {
    this.#constants = spec.constantTypes.map((type, slot) =>
      type === 'f32' ? k.loadF32(constants, 4 * slot) : k.loadI32(constants, 4 * slot),
    );
    this.#tables = spec.tables.map((table, i) => ({
      pointer: k.loadPointer(tables, tableSlot * i),
      dimensions: table.shape.map((_, d) => k.loadI32(tables, tableSlot * i + 8 + 4 * d)),
    }));
  }

  /** For a score: its variables are positions in the whole sequence. */
  #environment(at: Position, score: VF): Environment {
    const { b, h } = at;
    const { period } = this.spec;
    const whole = period > 1;
    const k = whole ? this.k.add(this.k.mul(at.k, period), at.residue) : at.k;
    const q = whole ? this.k.add(this.k.mul(at.q, period), this.k.splat(at.residue)) : at.q;
    return this.#bound({ b, h, k, q, score });
  }

  #bound(variables: Environment['variables']): Environment {
    return {
      variables,
      parameter: (slot) => this.#constants[slot]!,
      table: (table) => this.#tables[this.spec.tables.indexOf(table)]!,
      // reads of expressions that are derived from these are checked
      checked: (read) => !this.spec.proven.has(read),
    };
  }

  score(at: Position, score: VF): VF {
    return this.spec.score ? (lowerVector(this.k, this.spec.score, this.#environment(at, score)) as VF) : score;
  }
  /** The same in a plan of one residue class, with queries or keys along the lanes. */
  changed({ b, h, q, k }: MaskPosition, score: VF): VF {
    return this.spec.score ? (lowerVector(this.k, this.spec.score, this.#bound({ b, h, q, k, score })) as VF) : score;
  }
  /** undefined where the slope is 1. */
  slope(at: Position, score: VF): VF | undefined {
    return this.spec.slope && (lowerVector(this.k, this.spec.slope, this.#environment(at, score)) as VF);
  }
  /** undefined where everything is allowed. */
  mask({ b, h, q, k }: MaskPosition): VI | undefined {
    return this.spec.mask && (lowerVector(this.k, this.spec.mask, this.#bound({ b, h, q, k })) as VI);
  }
  /** Any expression of a score's variables; stays scalar where it does not depend on the query. */
  value(expression: Expression, at: Position, score: VF): Lowered {
    return lower(this.k, expression, this.#environment(at, score));
  }
  binding(table: Table): TableBinding {
    return this.#tables[this.spec.tables.indexOf(table)]!;
  }
}
