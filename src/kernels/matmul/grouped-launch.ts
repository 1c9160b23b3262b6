import type { Expression } from '../../codegen/expression/index.js';
import type { FloatDtype } from '../../core/dtype.js';
import type { Device, DeviceBuffer } from '../../devices/device.js';
import { constantsOf, noEpilogue, prepareActivation, type Epilogue } from './epilogue.js';
import { groupedInnerKernel, groupedKernel } from './grouped.js';
import { planGroupedInnerOnGpu, planGroupedOnGpu } from './gpu-plan.js';
import { planGrouped, planGroupedInner, type GroupedShape } from './grouped-plan.js';
import { withPacked } from './launch.js';
import { multiplyScratch } from './steps.js';

interface Stack {
  readonly buffer: DeviceBuffer;
  readonly dtype: FloatDtype;
}

/** Of both: `[groups]` i32, rows before each end are of its group or one before. */
interface Groups extends GroupedShape {
  readonly ends: DeviceBuffer;
  readonly out: DeviceBuffer;
}

export interface GroupedCall extends Groups {
  /** `[count, K]` */
  readonly a: Stack;
  /** `[groups, K, N]`, or the transposes of these. */
  readonly b: Stack & { readonly transposed: boolean };
  /** `[groups, N]` */
  readonly bias?: Stack | undefined;
  /** Of the variable `x0`. */
  readonly activation?: Expression | undefined;
  /** Takes the sums before the activation. */
  readonly kept?: DeviceBuffer | undefined;
}

/** `out[r] = activation(a[r]·b[g] + bias[g])`, f32 `[count, N]`. Adds `count·N·K` to `multiplyAdds`, as if every row had a group. */
export function launchGrouped(device: Device, call: GroupedCall): void {
  const { width } = device.info;
  const { a, b, bias, out, kept = out, ends, count, groups, N, K } = call;
  const activation = call.activation && prepareActivation(call.activation);
  const epilogue: Epilogue = { activation, keep: activation !== undefined && call.kept !== undefined };
  const plan = device.info.gpu ? planGroupedOnGpu(call) : planGrouped(call, width);
  const stored = { dtype: b.dtype, contiguous: !b.transposed };
  const multiply = (packed: DeviceBuffer | undefined): void => {
    const { kernel, pack } = groupedKernel({
      rows: plan.rows,
      a: { dtype: a.dtype, contiguous: true },
      b: packed === undefined ? stored : 'packed',
      bias: bias?.dtype,
      epilogue,
    });
    const buffers = { a: a.buffer, b: packed ?? b.buffer, bias: bias?.buffer ?? out, out, kept, ends };
    const args = { ...buffers, count, groups, N, K, aRow: K, aColumn: 1, ...plan };
    const scratchBytes = multiplyScratch(width, plan);
    device.run(kernel, pack(args, constantsOf(epilogue)), plan.tasks, { scratchBytes, grain: plan.grain });
  };
  if (plan.packed)
    withPacked(device, { ...stored, from: b.buffer, matrices: groups, panels: plan.panels, N, K }, multiply);
  else multiply(undefined);
  device.counters.multiplyAdds += count * N * K;
}

export interface GroupedInnerCall extends Groups {
  /** `[count, K]` */
  readonly a: Stack;
  /** `[count, N]` */
  readonly b: Stack;
}

/** `out[g] = Σ a[r]ᵀ·b[r]` over the rows of group g, f32 `[groups, K, N]`; counted as `launchGrouped`. */
export function launchGroupedInner(device: Device, call: GroupedInnerCall): void {
  const { width } = device.info;
  const { a, b, out, ends, count, groups, N, K } = call;
  const plan = device.info.gpu ? planGroupedInnerOnGpu(call) : planGroupedInner(call, width);
  const { kernel, pack } = groupedInnerKernel({
    rows: plan.rows,
    a: { dtype: a.dtype, contiguous: false },
    b: { dtype: b.dtype, contiguous: true },
    bias: undefined,
    epilogue: noEpilogue,
  });
  const buffers = { a: a.buffer, b: b.buffer, bias: out, out, kept: out, ends };
  const args = { ...buffers, count, groups, M: K, N, K, aRow: 1, aColumn: K, ...plan };
  device.run(kernel, pack(args), plan.tasks, { scratchBytes: multiplyScratch(width, plan), grain: plan.grain });
  device.counters.multiplyAdds += count * N * K;
}
