import { hostData, tableOf, type Table } from '../../codegen/expression/index.js';
import { OptionError, ShapeError } from '../../core/errors.js';
import { show, sizeOf } from '../../core/shape.js';
import type { Device, DeviceBuffer } from '../../devices/device.js';
import { findNonFinite, finiteParameters } from '../../kernels/finite.js';
import { flagCount } from '../../kernels/attend/spec.js';
import { keeping } from '../../kernels/philox.js';
import type { AttendShape } from '../../masks/index.js';
import { tileClass, type TileMap } from '../../masks/tiles.js';
import { storageOf, Tensor } from '../../tensor/tensor.js';
import type { AttendPlan } from './plan.js';

export interface Dropout {
  readonly rate: number;
  readonly seed: number;
}

/** One call of attention, as far as it does not depend on the device. */
export interface AttendCall {
  readonly shape: AttendShape;
  readonly plan: AttendPlan;
  /** For each head of each batch: 1 where this is the first call that sees its rows. */
  readonly opens: Int32Array;
  readonly scale: number;
  readonly dropout: Dropout | undefined;
  /** Rows from one head's keys to the next one's, forward only; default S. */
  readonly keyRows?: number;
}

/** The calls over the pairs of several plans, in turn. The first one that visits a head initialises its output rows. */
export function callsOf(plans: readonly AttendPlan[], call: Omit<AttendCall, 'plan' | 'opens'>): readonly AttendCall[] {
  const { B, H } = call.shape;
  const openers = Array.from({ length: B * H }, (_, i) => {
    const first = plans.findIndex(({ tiles }) => visitsAny(tiles, tileClass(tiles, H, Math.floor(i / H), i % H)));
    return Math.max(first, 0);
  });
  return plans.map((plan, index) => ({
    ...call,
    plan,
    opens: Int32Array.from(openers, (first) => +(first === index)),
  }));
}

const visitsAny = ({ rows, rowOffsets }: TileMap, ofClass: number): boolean =>
  rowOffsets[ofClass * rows]! < rowOffsets[(ofClass + 1) * rows]!;

export interface AttendInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
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

/** The arguments all attention kernels share; `nonFinite` is asked where a mask must not leak NaN and Inf. */
export function sharedArguments(
  workspace: Workspace,
  call: AttendCall,
  { q, k, v, logsumexp }: AttendInputs & { readonly logsumexp: Tensor },
  nonFinite: NonFiniteFlags,
) {
  const { shape, plan, scale, dropout } = call;
  const { perBatch, perHead } = plan.tiles.classes;
  const [low, high] = splitSeed(dropout?.seed ?? 0);
  const uploaded = uploadTables(workspace, call);
  return {
    q: q.buffer,
    k: k.buffer,
    v: v.buffer,
    logsumexp: logsumexp.buffer,
    ...uploaded,
    H: shape.H,
    G: shape.G,
    L: shape.L,
    S: shape.S,
    classPerBatch: perBatch ? (perHead ? shape.H : 1) : 0,
    classPerHead: perHead ? 1 : 0,
    scale,
    seedLow: low,
    seedHigh: high,
    ...keeping(dropout?.rate ?? 0),
    flags: plan.spec.mask || plan.spec.hides ? nonFinite.flags : uploaded.constants,
  };
}

/** The two 32-bit words of a seed. */
function splitSeed(seed: number): readonly [number, number] {
  return [seed | 0, Math.floor(seed / 2 ** 32) | 0];
}

/**
 * Where a kernel finds the tensor of a table. Kernels read it by this address alone, and every launch asks for it here.
 *
 * @throws OptionError for what is no tensor, was disposed, or lies on another device.
 */
function addressOf({ name, source }: Table, device: Device): number {
  const who = `attend: the score reads "${name}"`;
  if (!(source instanceof Tensor)) {
    throw new OptionError(`${who}, which is no tensor; make one with tensor(data, shape).`);
  }
  const { buffer } = storageOf(source, who);
  if (source.device === device) return buffer.address;
  throw new OptionError(
    `${who}, a tensor on another device (${source.device.info.kind}) than the queries (${device.info.kind}); ` +
      'copy it with tensor(await x.data(), …).',
  );
}

/** Refuses a table whose source does not hold what it says: kernels would read what lies beyond. */
function checkTable({ name, dtype, shape, source }: Table): void {
  const data = hostData({ name, dtype, shape, source });
  const own = data === undefined ? (source instanceof Tensor ? source : undefined) : tableOf(name, data);
  if (own === undefined || (own.dtype === dtype && sizeOf(own.shape) === sizeOf(shape))) return;
  throw new ShapeError(
    `attend: the table "${name}" says ${dtype}${show(shape)}, but holds ${own.dtype}${show(own.shape)}.`,
  );
}

/** The small tables of a call, in one buffer. */
function uploadTables(workspace: Workspace, { plan, opens }: AttendCall) {
  const { tiles, constants } = plan;
  const { tables } = plan.spec;
  tables.forEach(checkTable);
  const onHost = tables.map(hostData);
  let end = 0;
  const room = (byteLength: number): number => {
    const start = end;
    end += Math.ceil(byteLength / 8) * 8;
    return start;
  };
  const at = {
    rowOffsets: room(tiles.rowOffsets.byteLength),
    runs: room(tiles.runs.byteLength),
    constants: room(4 * constants.length),
    tables: room(tableSlot * tables.length),
    opens: room(opens.byteLength),
  };
  const ofTables = onHost.map((data) => room(data?.byteLength ?? 0));
  const buffer = workspace.allocate(end);
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  const put = (data: ArrayBufferView, offset: number): void =>
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
  put(tiles.rowOffsets, at.rowOffsets);
  put(tiles.runs, at.runs);
  put(opens, at.opens);
  constants.forEach(({ type, value }, slot) => {
    if (type === 'f32') view.setFloat32(at.constants + 4 * slot, value, true);
    else view.setInt32(at.constants + 4 * slot, value, true);
  });
  tables.forEach((table, i) => {
    const data = onHost[i];
    if (data) put(data, ofTables[i]!);
    const address = data ? buffer.address + ofTables[i]! : addressOf(table, workspace.device);
    const slot = at.tables + tableSlot * i;
    view.setBigUint64(slot, BigInt(address), true);
    table.shape.forEach((extent, d) => view.setInt32(slot + 8 + 4 * d, extent, true));
  });
  workspace.device.write(buffer, bytes);
  const part = (byteOffset: number) => ({ buffer, byteOffset });
  return {
    rowOffsets: part(at.rowOffsets),
    runs: part(at.runs),
    constants: part(at.constants),
    tables: part(at.tables),
    opens: part(at.opens),
  };
}

/** Where to read, once a kernel needs it, whether inputs hold NaN or Inf: `flagCount` words. */
export interface NonFiniteFlags {
  readonly flags: DeviceBuffer;
}

/** Flags that are set where one of `inputs` holds NaN or Inf, found when first asked for: once for all parts of a mask. */
export class NonFinite implements NonFiniteFlags {
  readonly #workspace: Workspace;
  #flags: DeviceBuffer | undefined;

  constructor(readonly inputs: readonly [Tensor, ...Tensor[]]) {
    this.#workspace = new Workspace(inputs[0].device);
  }

  get flags(): DeviceBuffer {
    this.#flags ??= this.#find();
    return this.#flags;
  }

  dispose(): void {
    this.#workspace.dispose();
  }

  #find(): DeviceBuffer {
    const flags = this.#workspace.zeros(4 * flagCount);
    for (const x of this.inputs) raiseNonFinite(x, flags);
    return flags;
  }
}

/** Sets some of `flags` where `x` holds NaN or Inf, and leaves the others. */
export function raiseNonFinite(x: Tensor, flags: DeviceBuffer): void {
  const chunk = 64 * Math.ceil(x.size / (64 * flagCount));
  const parameters = finiteParameters.pack({ x: x.buffer, count: x.size, chunk, flags });
  x.device.run(findNonFinite, parameters, Math.ceil(x.size / chunk));
}

/** Calls `use` with the flags of `inputs`, and frees them. */
export function guarded<T>(inputs: NonFinite['inputs'], use: (nonFinite: NonFinite) => T): T {
  const nonFinite = new NonFinite(inputs);
  try {
    return use(nonFinite);
  } finally {
    nonFinite.dispose();
  }
}
