import type { Device } from '../../src/devices/index.js';
import { attend, type AttendCounters, type AttendOptions } from '../../src/ops/attend.js';
import { disposeAll, gradients, tensor, type Tensor } from '../../src/tensor/index.js';
import type { AttendProblem, Cotangents } from '../oracles/attend.js';
import type { Results } from '../oracles/attend-budget.js';

/** A tensor that the score reads, and whose gradient is wanted. */
export interface TableData {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

export interface Setting {
  readonly problem: AttendProblem;
  /** The library's options for the problem; the tables are tensors of `tables`. */
  readonly options?: (tables: readonly Tensor[]) => AttendOptions;
  readonly tables?: readonly TableData[];
  /** Without them only the forward pass is run. */
  readonly cotangents?: Cotangents;
  /** Of q, k and v; default f32. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/** Runs the library on the problem and reads everything back; nothing is left on the device. */
export async function run(device: Device, setting: Setting): Promise<{ results: Results; counters: AttendCounters }> {
  const { problem, options = () => ({}), tables = [], cotangents, dtype = 'f32' } = setting;
  const { B, H, G, L, S, D, E } = problem;
  const requiresGradient = cotangents !== undefined;
  const create = (data: ArrayLike<number>, shape: readonly number[], of: typeof dtype): Tensor =>
    tensor(Float32Array.from(data), shape, { device, requiresGradient, dtype: of });
  const qkv = [
    create(problem.q, [B, H, L, D], dtype),
    create(problem.k, [B, G, S, D], dtype),
    create(problem.v, [B, G, S, E], dtype),
  ] as const;
  const learned = tables.map(({ data, shape }) => create(data, shape, 'f32'));
  const scale = problem.scale === undefined ? {} : { scale: problem.scale };
  const { out, logsumexp, counters } = attend(...qkv, { ...scale, ...options(learned) });
  const held: Tensor[] = [...qkv, ...learned, out, logsumexp];
  const results: Record<string, ArrayLike<number>> = { out: await out.data(), logsumexp: await logsumexp.data() };
  if (cotangents !== undefined) {
    const { dout, dlogsumexp } = cotangents;
    const outputs = dlogsumexp ? [out, logsumexp] : [out];
    const given = [tensor(Float32Array.from(dout), out.shape, { device })];
    if (dlogsumexp) given.push(tensor(Float32Array.from(dlogsumexp), logsumexp.shape, { device }));
    const found = gradients(outputs, [...qkv, ...learned], given);
    held.push(...given, ...found);
    for (const [i, gradient] of found.entries()) {
      results[['dq', 'dk', 'dv'][i] ?? `dtable${i - 3}`] = await gradient.data();
    }
  }
  disposeAll(held);
  return { results, counters };
}
