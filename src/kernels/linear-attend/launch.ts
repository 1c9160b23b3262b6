import type { Device, DeviceBuffer } from '../../devices/device.js';
import { addSegments, linearKernel, segmentStretch } from './kernel.js';
import { chunkProducts, planLinear, type LinearPlan } from './plan.js';
import { linearScratch, segmentPitch, stateElements, type LinearSpec } from './spec.js';

/** A state outside the kernel: element (m, e) of head h at h·size + m·row + e·column. */
export interface StateLayout {
  readonly size: number;
  readonly row: number;
  readonly column: number;
}

/** One sweep: `out_r = Σ_c (q_r·k_c) v_c`, see `LinearSpec`. */
export interface LinearCall extends Omit<LinearSpec, 'pass' | 'decay' | 'extra'> {
  readonly B: number;
  /** Heads of queries, and of keys and values. */
  readonly H: number;
  readonly G: number;
  /** Queries and keys; with `reverse` the rows are the keys. */
  readonly L: number;
  readonly S: number;
  readonly q: DeviceBuffer;
  readonly k: DeviceBuffer;
  readonly v: DeviceBuffer;
  readonly out: DeviceBuffer;
  readonly norm?: DeviceBuffer;
  readonly extra?: { readonly of: 'row' | 'key'; readonly buffer: DeviceBuffer } | undefined;
  readonly decay?: DeviceBuffer | undefined;
  /** Per batch, on the device and here. */
  readonly lengths: { readonly buffer: DeviceBuffer; readonly values: readonly number[] };
  readonly layout: StateLayout;
  readonly initial?: DeviceBuffer | undefined;
  readonly final?: DeviceBuffer | undefined;
  readonly eps: number;
}

export function launchLinear(device: Device, call: LinearCall): void {
  const { B, H, G, L, S, M, E, chunk, causal, reverse, normalise, layout } = call;
  const { width } = device.info;
  const [rows, keys] = reverse ? [S, L] : [L, S];
  const outHeads = B * (reverse ? G : H);
  const plan = planLinear(outHeads, rows, keys, chunk, causal);
  const spec: LinearSpec = {
    M,
    E,
    chunk,
    pass: 'rows',
    causal,
    reverse,
    normalise,
    extra: call.extra?.of,
    decay: call.decay !== undefined,
  };
  const kept = causal ? plan.segments - 1 : plan.segments;
  const pitch = segmentPitch(spec, width);
  const states = device.allocate(Math.max(4, 4 * B * H * kept * pitch), 'workspace');
  const args = {
    q: call.q,
    k: call.k,
    v: call.v,
    out: call.out,
    norm: call.norm ?? call.out,
    extra: call.extra?.buffer ?? call.out,
    decay: call.decay ?? call.out,
    lengths: call.lengths.buffer,
    initial: call.initial ?? call.out,
    final: call.final ?? call.out,
    segmentStates: states,
    H,
    group: H / G,
    rows,
    keys,
    S,
    ...plan,
    kept,
    stateSize: layout.size,
    stateRow: layout.row,
    stateColumn: layout.column,
    hasInitial: call.initial ? 1 : 0,
    hasFinal: call.final ? 1 : 0,
    eps: call.eps,
  };
  const run = (pass: LinearSpec['pass'], tasks: number): void => {
    const own = { ...spec, pass };
    const { kernel, pack } = linearKernel(own);
    device.run(kernel, pack(args), tasks, { scratchBytes: linearScratch(own, width) });
  };
  try {
    if (kept > 0) {
      run('sum', B * H * kept);
      const size = stateElements(spec, width);
      const stretches = Math.ceil(size / segmentStretch);
      const { kernel, pack } = addSegments(undefined);
      if (kept > 1) device.run(kernel, pack({ states, size, pitch, kept, stretches }), B * H * stretches);
    }
    run('rows', outHeads * plan.segments);
  } finally {
    device.free(states);
  }
  const { counters } = device;
  const executed = H * call.lengths.values.reduce((sum, n) => sum + products(call, plan, n, width), 0);
  counters.multiplyAdds += executed;
  // a recurrence from position to position would need no products within a chunk
  if (counters.wastedMultiplyAdds !== undefined) {
    const needed = H * call.lengths.values.reduce((sum, n) => sum + (n + L) * M * (normalise ? E + 1 : E), 0);
    counters.wastedMultiplyAdds += executed - needed;
  }
}

/** Multiply-adds for one query head of a batch with `length` keys. */
function products(call: LinearCall, plan: LinearPlan, length: number, width: number): number {
  const { L, S, E, chunk, causal, reverse, normalise } = call;
  const M = call.M + (call.extra ? 1 : 0);
  const longer = Math.max(L, S);
  const shorter = longer - Math.min(L, S);
  const known = new Map<string, number>();
  let total = 0;
  for (let order = 0; order < plan.chunks; order++) {
    const index = reverse ? plan.chunks - 1 - order : order;
    const leads = index < plan.leading;
    const start = leads ? index * chunk : shorter + (index - plan.leading) * chunk;
    const end = Math.min(start + chunk, leads ? shorter : longer);
    const within = (count: number, exist: number): number => {
      const first = start - (longer - count);
      return first < 0 ? 0 : Math.min(end - start, Math.max(0, exist - first));
    };
    const [queries, keysOfChunk] = [within(L, L), within(S, length)];
    const [rows, keys] = reverse ? [keysOfChunk, queries] : [queries, keysOfChunk];
    const key = `${rows},${keys}`;
    let pairs = known.get(key);
    if (pairs === undefined) {
      const own = causal ? chunkProducts(rows, keys, width, reverse) : { lanes: 0, pairs: 0 };
      pairs = own.lanes * M + own.pairs * E + rows * M * E + (normalise ? (rows + keys) * M : 0);
      known.set(key, pairs);
    }
    // a segment before the last is summed twice where rows are causal
    const sums = causal && order < (plan.segments - 1) * plan.perSegment ? 2 : 1;
    total += pairs + sums * keys * M * E;
  }
  return total;
}
