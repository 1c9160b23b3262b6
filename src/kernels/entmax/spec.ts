import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { exp, expOfNegative, log } from '../../codegen/math.js';
import { attendTiles, type AttendTiles } from '../attend/layout.js';
import { shared as attendShared, specKey, type AttendSpec } from '../attend/spec.js';

/** What an entmax kernel is specialised to. */
export interface EntmaxSpec {
  readonly attend: AttendSpec;
  /** 1/(α − 1) where it is a number whose power needs no logarithm: 1 for α = 2, 2 for α = 1.5. */
  readonly power: 1 | 2 | undefined;
}

export const entmaxKey = ({ attend, power }: EntmaxSpec): string => `${specKey(attend)}/${power ?? 'any'}`;

/** Parameters that every entmax kernel takes, those of attention first. */
export const shared = {
  q: attendShared.q,
  k: attendShared.k,
  v: attendShared.v,
  rowOffsets: attendShared.rowOffsets,
  runs: attendShared.runs,
  constants: attendShared.constants,
  tables: attendShared.tables,
  H: attendShared.H,
  G: attendShared.G,
  L: attendShared.L,
  S: attendShared.S,
  classPerBatch: attendShared.classPerBatch,
  classPerHead: attendShared.classPerHead,
  scale: attendShared.scale,
  flags: attendShared.flags,
  /** α − 1 of each head. */
  excess: 'pointer',
  /** The largest score of each query, times α − 1; 0 for one that may see no key. */
  tops: 'pointer',
  /** Its threshold τ less that, from −1 to 0, as float32 has more of small numbers; +∞ for one that may see no key. */
  thresholds: 'pointer',
} as const;

/** A task is one panel: few rows, so that few keys have a weight in any of them, and the lists of keys stay small. */
export function entmaxTiles(width: number, { keyBlock }: AttendSpec): AttendTiles {
  const t = attendTiles(width, { queryTile: 16, keyBlock });
  return { ...t, queryTile: t.panel, panels: 1 };
}

/** What depends on α. */
export interface Weights {
  /** `p = 1/(α − 1)` */
  readonly power: VF;
  /** `α − 1` */
  readonly less: VF;
  /** `u^p` and `u^(p − 1)` for u > 0, else 0; NaN stays NaN. */
  readonly of: (u: VF) => { readonly weight: VF; readonly slope: VF };
  /** ln of the weight of u > 0. */
  readonly logarithm: (u: VF) => VF;
  /** The p-th root. */
  readonly root: (sum: VF) => VF;
}

export function weightsOf(k: VectorBuilder, { power }: EntmaxSpec, excess: Pointer, head: I32): Weights {
  const less = k.loadSplat(k.offset(excess, head, 4));
  const positive = (u: VF, value: VF): VF => k.select(k.le(u, 0), k.constant('vf', 0), value);
  const p = k.div(k.constant('vf', 1), less);
  const logarithm = (u: VF): VF => k.mul(p, log(k, u));
  if (power === 1) {
    return {
      power: p,
      less,
      of: (u) => ({ weight: k.max(u, 0), slope: positive(u, k.add(k.mul(u, 0), 1)) }),
      logarithm,
      root: (sum) => sum,
    };
  }
  if (power === 2) {
    return {
      power: p,
      less,
      of: (u) => {
        const above = k.max(u, 0);
        return { weight: k.mul(above, above), slope: above };
      },
      logarithm,
      root: (sum) => k.sqrt(sum),
    };
  }
  return {
    power: p,
    less,
    of: (u) => {
      const weight = positive(u, expOfNegative(k, k.min(logarithm(u), 0)));
      return { weight, slope: positive(u, k.div(weight, u)) };
    },
    logarithm,
    root: (sum) => exp(k, k.mul(less, log(k, sum))),
  };
}
