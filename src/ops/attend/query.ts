import type { Expression } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import type { FloatDtype } from '../../core/dtype.js';
import { attendQuery, mergeQuery, partFloats, queryChunk, queryScratch } from '../../kernels/attend/query.js';
import type { AttendShape } from '../../masks/index.js';
import type { TileMap } from '../../masks/tiles.js';
import { empty, scope, type Tensor } from '../../tensor/index.js';
import type { AttendValues } from './forward.js';
import { onDevice } from './on-device.js';
import type { PlanPart } from './plan.js';
import { specialise } from './specialise.js';

export interface QueryCall {
  /** `[B, H, 1, D]`, f32. */
  readonly q: Tensor;
  /** `[B, G, C, D]` and `[B, G, C, E]`, f32, f16 or bf16: room for C rows a head. */
  readonly k: Tensor;
  readonly v: Tensor;
  /** Rows of each batch row that are attended to, i32 `[B]`; its query stands at the last of them. */
  readonly lengths: Tensor;
  /** What `lengths` says at most. */
  readonly most: number;
  readonly mask: Expression | null;
  readonly score: Expression | undefined;
  readonly scale: number;
  /** What positions the expressions are for. */
  readonly positions: AttendShape;
  /** Whether values hold NaN or Inf, as of `nonFinite`; read where a mask or the score hides pairs. */
  readonly flags: Tensor;
}

/** A kernel of one query visits no tiles: it looks at the mask of whole vectors of keys. */
const noTiles: TileMap = {
  rows: 0,
  columns: 0,
  classes: { perBatch: false, perHead: false, count: 1 },
  rowOffsets: new Int32Array(0),
  runs: new Int32Array(0),
  counts: { empty: 0, full: 0, partial: 0 },
  pairs: { full: 0, partial: 0 },
};

const planOf = memoised(
  (mask: Expression | null, score: Expression | undefined, D: number, E: number, positions: AttendShape): PlanPart => {
    const sizes = { D, E, dropout: false, period: 1, queryTile: 1, keyBlock: 1 };
    return {
      ...specialise(score, mask ?? undefined, sizes, positions),
      shape: positions,
      tiles: noTiles,
      visited: { pairs: 0, tiles: noTiles.counts },
      opens: new Int32Array(0),
      keys: undefined,
    };
  },
  {
    by: (mask, score, D, E, positions) => [
      mask,
      score,
      [D, E],
      mask === null && score === undefined ? undefined : Object.values(positions),
    ],
    most: 64,
  },
);

/** Attention of the newest query of each batch row over the first rows of a room. f32, without gradients; inputs are known to fit. */
export function attendNewest({
  q,
  k,
  v,
  lengths,
  most,
  mask,
  score,
  scale,
  positions,
  flags,
}: QueryCall): AttendValues {
  const { device } = q;
  const [B, H, , D] = q.shape as [number, number, number, number];
  const [, G, keyRows, E] = v.shape as [number, number, number, number];
  return scope(() => {
    const [part] = onDevice(
      { shape: positions, mask, parts: [planOf(mask, score, D, E, positions)], hides: false },
      device,
    );
    const { spec, tables } = part!;
    const group = H / G;
    const own = { attend: spec, group, k: k.dtype as FloatDtype, v: v.dtype as FloatDtype };
    const chunks = Math.ceil(most / queryChunk);
    const values = { out: empty([B, H, 1, E], 'f32', device), logsumexp: empty([B, H, 1], 'f32', device) };
    const parts = empty([B * G * chunks * group * partFloats(E)], 'f32', device, 'workspace');
    const { constants, tables: addresses } = tables;
    const first = attendQuery(own);
    const args = { q: q.buffer, k: k.buffer, v: v.buffer, parts: parts.buffer, constants, tables: addresses };
    const rest = { flags: flags.buffer, lengths: lengths.buffer, G, chunks, keyRows, scale };
    device.run(first.kernel, first.pack({ ...args, ...rest }), B * G * chunks, { scratchBytes: queryScratch(own) });
    const second = mergeQuery(E);
    const merge = { parts: parts.buffer, out: values.out.buffer, logsumexp: values.logsumexp.buffer };
    device.run(second.kernel, second.pack({ ...merge, lengths: lengths.buffer, H, group, chunks }), B * H, {
      // heads of few parts are not worth a thread
      grain: Math.max(1, Math.floor(2 ** 16 / (chunks * E))),
    });
    device.counters.multiplyAdds += B * H * most * (D + E);
    return values;
  });
}
