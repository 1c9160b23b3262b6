import { hostData } from '../../codegen/expression/index.js';
import { OptionError } from '../../core/errors.js';
import type { Device, DeviceBuffer } from '../../devices/device.js';
import { findNonFinite, finiteParameters } from '../../kernels/finite.js';
import { flagCount } from '../../kernels/attend/spec.js';
import type { AttendShape } from '../../masks/index.js';
import { Tensor } from '../../tensor/tensor.js';
import type { AttendPlan } from './plan.js';

export interface Dropout {
  readonly rate: number;
  readonly seed: number;
}

/** One call of attention, as far as it does not depend on the device. */
export interface AttendCall {
  readonly shape: AttendShape;
  readonly plan: AttendPlan;
  readonly scale: number;
  readonly dropout: Dropout | undefined;
}

const tableSlot = 48;

/** The small tables that kernels read beside the tensors; freed with `dispose`. */
export class Workspace {
  readonly #buffers: DeviceBuffer[] = [];

  constructor(readonly device: Device) {}

  allocate(bytes: number): DeviceBuffer {
    const buffer = this.device.allocate(Math.max(bytes, 4), 'workspace');
    this.#buffers.push(buffer);
    return buffer;
  }

  upload(data: ArrayBufferView): DeviceBuffer {
    const buffer = this.allocate(data.byteLength);
    this.device.write(buffer, data);
    return buffer;
  }

  zeros(bytes: number): DeviceBuffer {
    return this.upload(new Uint8Array(bytes));
  }

  dispose(): void {
    this.#buffers.splice(0).forEach((buffer) => this.device.free(buffer));
  }
}

/** The arguments all attention kernels share; `inputs` are searched for NaN and Inf where a mask must not leak them. */
export function sharedArguments(
  workspace: Workspace,
  call: AttendCall,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logsumexp: Tensor,
  inputs: readonly Tensor[],
) {
  const { shape, plan, scale, dropout } = call;
  const { perBatch, perHead } = plan.tiles.classes;
  const [low, high] = splitSeed(dropout?.seed ?? 0);
  const keep = 1 - (dropout?.rate ?? 0);
  return {
    q: q.buffer,
    k: k.buffer,
    v: v.buffer,
    logsumexp: logsumexp.buffer,
    rowOffsets: workspace.upload(plan.tiles.rowOffsets),
    runs: workspace.upload(plan.tiles.runs),
    constants: uploadConstants(workspace, plan),
    tables: uploadTables(workspace, plan),
    H: shape.H,
    G: shape.G,
    L: shape.L,
    S: shape.S,
    classPerBatch: perBatch ? (perHead ? shape.H : 1) : 0,
    classPerHead: perHead ? 1 : 0,
    scale,
    seedLow: low,
    seedHigh: high,
    keepBelow: Math.min(2 ** 31 - 1, Math.round(keep * 2 ** 31)),
    keepFactor: 1 / keep,
    flags: plan.spec.mask || plan.spec.hides ? nonFinite(workspace, inputs) : workspace.allocate(4),
  };
}

/** The two 32-bit words of a seed. */
function splitSeed(seed: number): readonly [number, number] {
  return [seed | 0, Math.floor(seed / 2 ** 32) | 0];
}

function uploadConstants(workspace: Workspace, plan: AttendPlan): DeviceBuffer {
  const view = new DataView(new ArrayBuffer(Math.max(4, 4 * plan.constants.length)));
  plan.constants.forEach(({ type, value }, slot) => {
    if (type === 'f32') view.setFloat32(4 * slot, value, true);
    else view.setInt32(4 * slot, value, true);
  });
  return workspace.upload(view);
}

function uploadTables(workspace: Workspace, plan: AttendPlan): DeviceBuffer {
  const { tables } = plan.spec;
  const view = new DataView(new ArrayBuffer(Math.max(4, tableSlot * tables.length)));
  tables.forEach((table, i) => {
    const { source } = table;
    const data = hostData(table);
    if (!(source instanceof Tensor) && data === undefined) {
      throw new OptionError(
        `attend: the score reads "${table.name}", which is no tensor; make one with tensor(data, shape).`,
      );
    }
    const buffer = source instanceof Tensor ? source.buffer : workspace.upload(data!);
    view.setBigUint64(tableSlot * i, BigInt(buffer.address), true);
    table.shape.forEach((extent, d) => view.setInt32(tableSlot * i + 8 + 4 * d, extent, true));
  });
  return workspace.upload(view);
}

/** Flags that are set where an input holds NaN or Inf. */
function nonFinite(workspace: Workspace, inputs: readonly Tensor[]): DeviceBuffer {
  const flags = workspace.zeros(4 * flagCount);
  for (const x of inputs) {
    const chunk = 64 * Math.ceil(x.size / (64 * flagCount));
    const tasks = Math.ceil(x.size / chunk);
    workspace.device.run(findNonFinite, finiteParameters.pack({ x: x.buffer, count: x.size, chunk, flags }), tasks);
  }
  return flags;
}
