import { entmaxKeys, keysScratch } from '../../kernels/entmax/backward-keys.js';
import { entmaxQueries, queriesScratch } from '../../kernels/entmax/backward-queries.js';
import { entmaxForward, forwardScratch } from '../../kernels/entmax/forward.js';
import { entmaxTiles, type EntmaxSpec } from '../../kernels/entmax/spec.js';
import { scope } from '../../tensor/scope.js';
import { empty, type Tensor } from '../../tensor/tensor.js';
import type { PartOnDevice } from '../attend/on-device.js';
import type { AttendInputs } from '../attend/sizes.js';
import { sum } from '../reduce.js';

/** What is kept of each row for the backward pass, `[B, H, L]`. */
export interface RowStatistics {
  readonly tops: Tensor;
  readonly thresholds: Tensor;
}

/** One pass: the plan on the device, and the numbers that no kernel is specialised to. */
export interface EntmaxCall {
  readonly part: PartOnDevice;
  readonly spec: EntmaxSpec;
  readonly scale: number;
  /** α − 1 of each head, `[H]`. */
  readonly excess: Tensor;
  /** Not 0 where an input holds NaN or Inf; undefined where nothing is hidden. */
  readonly flags: Tensor | undefined;
}

function sharedArguments(
  { part: { shape, tiles, tables }, scale, excess, flags }: EntmaxCall,
  { q, k, v }: AttendInputs,
  { tops, thresholds }: RowStatistics,
) {
  const { H, G, L, S } = shape;
  const { perBatch, perHead } = tiles.classes;
  const { rowOffsets, runs, constants } = tables;
  return {
    q: q.buffer,
    k: k.buffer,
    v: v.buffer,
    excess: excess.buffer,
    tops: tops.buffer,
    thresholds: thresholds.buffer,
    rowOffsets,
    runs,
    constants,
    tables: tables.tables,
    flags: flags?.buffer ?? constants,
    H,
    G,
    L,
    S,
    scale,
    classPerBatch: perBatch ? (perHead ? H : 1) : 0,
    classPerHead: perHead ? 1 : 0,
  };
}

/** Panels of all heads and residue classes. */
function tasksOf({ part, spec }: EntmaxCall, heads: number, rows: number, width: number): number {
  const { period } = spec.attend;
  return part.shape.B * heads * period * Math.ceil(rows / (period * entmaxTiles(width, spec.attend).panel));
}

const keysOf = ({ part, spec }: EntmaxCall): number => Math.ceil(part.shape.S / spec.attend.period);

export function forward(
  call: EntmaxCall,
  inputs: AttendInputs,
): { readonly out: Tensor; readonly rows: RowStatistics } {
  const { spec, part } = call;
  const { device } = inputs.q;
  const { width } = device.info;
  const [B, H, L] = inputs.q.shape as [number, number, number];
  const { D, E } = spec.attend;
  const out = empty([B, H, L, E], 'f32', device);
  const byRow = (): Tensor => empty([B, H, L], 'f32', device, 'saved');
  const rows = { tops: byRow(), thresholds: byRow() };
  const { kernel, pack } = entmaxForward(spec);
  const args = pack({ ...sharedArguments(call, inputs, rows), out: out.buffer });
  device.run(kernel, args, tasksOf(call, H, L, width), { scratchBytes: forwardScratch(width, spec, keysOf(call)) });
  device.counters.multiplyAdds += part.visited.pairs * (D + E);
  return { out, rows };
}

export interface EntmaxGradients {
  readonly dq: Tensor;
  readonly dk: Tensor;
  readonly dv: Tensor;
  readonly dexcess: Tensor | undefined;
}

export function backward(
  call: EntmaxCall,
  inputs: AttendInputs,
  rows: RowStatistics,
  dout: Tensor,
  { ofAlpha }: { readonly ofAlpha: boolean },
): EntmaxGradients {
  const { spec, part } = call;
  const { q, k, v } = inputs;
  const { device } = q;
  const { width } = device.info;
  const [, H, L] = q.shape as [number, number, number];
  const [, G, S] = k.shape as [number, number, number];
  const { D, E } = spec.attend;
  return scope(() => {
    const [dq, dk, dv] = [q, k, v].map(({ shape }) => empty(shape, 'f32', device)) as [Tensor, Tensor, Tensor];
    const byRow = (): Tensor => empty(rows.tops.shape, 'f32', device, 'workspace');
    const delta = byRow();
    const alphaRows = ofAlpha ? byRow() : undefined;
    const shared = {
      ...sharedArguments(call, inputs, rows),
      dout: dout.buffer,
      delta: delta.buffer,
    };
    const queries = entmaxQueries({ ...spec, ofAlpha });
    const ofQueries = queries.pack({ ...shared, dalpha: (alphaRows ?? delta).buffer, dq: dq.buffer });
    device.run(queries.kernel, ofQueries, tasksOf(call, H, L, width), {
      scratchBytes: queriesScratch(width, spec, keysOf(call)),
    });
    const keys = entmaxKeys(spec);
    device.run(keys.kernel, keys.pack({ ...shared, dk: dk.buffer, dv: dv.buffer }), tasksOf(call, G, S, width), {
      scratchBytes: keysScratch(width, spec),
    });
    // what is computed where every pair has a weight
    device.counters.multiplyAdds += part.visited.pairs * (4 * D + 3 * E);
    device.counters.bytesMoved += [q, k, v, dout, dq, dk, dv].reduce((bytes, x) => bytes + x.byteLength, 0);
    return { dq, dk, dv, dexcess: alphaRows && sum(alphaRows, { axes: [0, 2] }) };
  });
}
