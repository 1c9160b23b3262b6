import type { Expression } from '../../codegen/expression/index.js';
import { bytesPerElement, type FloatDtype } from '../../core/dtype.js';
import type { Device, DeviceBuffer, KernelArgument } from '../../devices/device.js';
import { batchRuns, type BatchRun } from './batch.js';
import { combineChunk, combineKernel } from './combine.js';
import { constantsOf, noEpilogue, prepareActivation, type Epilogue } from './epilogue.js';
import { planMultiplyOnGpu, planVectorOnGpu } from './gpu-plan.js';
import { panelColumns, planMultiply, planVector, type MatmulShape } from './layout.js';
import { multiplyKernel, multiplyScratch } from './multiply.js';
import { packKernel, packRowsPerTask, type Stored } from './pack.js';
import { vectorKernel, vectorScratch } from './vector.js';

/** A stack of matrices, each stored row by row; `transposed`: stored as the transpose of what it stands for. */
export interface MatrixStack {
  readonly buffer: DeviceBuffer;
  readonly dtype: FloatDtype;
  readonly transposed: boolean;
  /** Batch axes, which broadcast. */
  readonly batch: readonly number[];
}

export interface MatmulCall {
  readonly a: MatrixStack;
  readonly b: MatrixStack;
  /** f32 `[...batch, M, N]`. */
  readonly out: DeviceBuffer;
  readonly batch: readonly number[];
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly bias?: { readonly buffer: DeviceBuffer; readonly dtype: FloatDtype } | undefined;
  /** Of the variable `x0`. */
  readonly activation?: Expression | undefined;
  /** Takes the sums before the activation. */
  readonly kept?: DeviceBuffer | undefined;
}

/** One dispatch's worth of a call: `batches` products whose operands begin at byte offsets. */
interface Products extends MatmulShape {
  readonly a: MatrixStack & { readonly from: KernelArgument };
  readonly b: MatrixStack & { readonly from: KernelArgument };
  readonly run: BatchRun;
  readonly out: KernelArgument;
  readonly kept: KernelArgument;
  readonly bias: MatmulCall['bias'];
  readonly oneBias: boolean;
  readonly epilogue: Epilogue;
}

/** `out = activation(A·B + bias)`, batched. Adds M·N·K per product to the device's `multiplyAdds`. */
export function launchMatmul(device: Device, call: MatmulCall): void {
  const activation = call.activation && prepareActivation(call.activation);
  const epilogue: Epilogue = { activation, keep: activation !== undefined && call.kept !== undefined };
  for (const run of batchRuns(call.batch, call.a.batch, call.b.batch))
    launchRun(device, fold(products(call, run, epilogue)));
}

function products(call: MatmulCall, run: BatchRun, epilogue: Epilogue): Products {
  const { M, N, K, out, kept = out, bias } = call;
  const at = (buffer: DeviceBuffer, element: number): KernelArgument => ({ buffer, byteOffset: element });
  return {
    batches: run.count,
    M,
    N,
    K,
    run,
    bias,
    epilogue,
    oneBias: false,
    a: { ...call.a, from: at(call.a.buffer, run.aFirst * M * K * bytesPerElement[call.a.dtype]) },
    b: { ...call.b, from: at(call.b.buffer, run.bFirst * K * N * bytesPerElement[call.b.dtype]) },
    out: at(out, 4 * run.outFirst * M * N),
    kept: at(kept, 4 * run.outFirst * M * N),
  };
}

/** Rows of a batch that share B are rows of one matrix. */
function fold(p: Products): Products {
  const { run, a, M, batches } = p;
  if (batches === 1 || run.b.mod > 1 || run.a.div > 1 || run.a.mod < batches || (a.transposed && M > 1)) return p;
  const walk = { div: 1, mod: 1 };
  return { ...p, batches: 1, M: batches * M, a: { ...a, transposed: false }, run: { ...run, a: walk, b: walk } };
}

function launchRun(device: Device, p: Products): void {
  if (p.M === 1) launchVector(device, p);
  // Cᵀ = Bᵀ·Aᵀ, and a matrix of one column is its own transpose in memory
  else if (p.N === 1) launchVector(device, swap(p));
  else launchMultiply(device, p);
  device.counters.multiplyAdds += p.batches * p.M * p.N * p.K;
}

function swap(p: Products): Products {
  const { a, b, run, M, N } = p;
  return {
    ...p,
    a: { ...b, transposed: !b.transposed },
    b: { ...a, transposed: !a.transposed },
    run: { ...run, a: run.b, b: run.a },
    M: N,
    N: M,
    oneBias: true,
  };
}

const stored = (matrix: MatrixStack) => ({ dtype: matrix.dtype, contiguous: !matrix.transposed });

/** Runs `body` with where to write and how to end: at once, or in parts that are added up afterwards. */
function inParts(
  device: Device,
  p: Products,
  splits: number,
  body: (out: KernelArgument, kept: KernelArgument, epilogue: Epilogue) => void,
): void {
  if (splits === 1) return body(p.out, p.kept, p.epilogue);
  const size = p.batches * p.M * p.N;
  withWorkspace(device, 4 * splits * size, (parts) => {
    body(parts, parts, noEpilogue);
    const { kernel, pack } = combineKernel(p.epilogue);
    const args = pack({ parts, out: p.out, kept: p.kept, size, splits }, constantsOf(p.epilogue));
    device.run(kernel, args, Math.ceil(size / combineChunk));
  });
}

export function withWorkspace(device: Device, bytes: number, body: (buffer: DeviceBuffer) => void): void {
  const buffer = device.allocate(bytes, 'workspace');
  try {
    body(buffer);
  } finally {
    device.free(buffer);
  }
}

function launchVector(device: Device, p: Products): void {
  const { run, N, K, a, b, bias, batches, oneBias } = p;
  const plan = device.info.kind === 'webgpu' ? planVectorOnGpu(p) : planVector(p);
  inParts(device, p, plan.splits, (out, kept, epilogue) => {
    const spec = { x: a.dtype, b: stored(b), bias: bias && { dtype: bias.dtype, one: oneBias }, epilogue };
    const { kernel, pack } = vectorKernel(spec);
    const args = {
      x: a.from,
      b: b.from,
      bias: bias?.buffer ?? out,
      out,
      kept,
      N,
      K,
      batches,
      xDiv: run.a.div,
      xMod: run.a.mod,
      bDiv: run.b.div,
      bMod: run.b.mod,
      ...plan,
    };
    const scratchBytes = vectorScratch(plan);
    device.run(kernel, pack(args, constantsOf(epilogue)), plan.tasks, { scratchBytes, grain: plan.grain });
  });
}

function launchMultiply(device: Device, p: Products): void {
  const { width } = device.info;
  const { run, a, b, bias, M, N, K, batches } = p;
  const plan = device.info.gpu ? planMultiplyOnGpu(p) : planMultiply(p, width);
  const multiply = (packed: KernelArgument | undefined): void =>
    inParts(device, p, plan.splits, (out, kept, epilogue) => {
      const source = packed === undefined ? stored(b) : 'packed';
      const spec = { rows: plan.rows, a: stored(a), b: source, bias: bias?.dtype, epilogue } as const;
      const { kernel, pack } = multiplyKernel(spec);
      const args = {
        a: a.from,
        b: packed ?? b.from,
        bias: bias?.buffer ?? out,
        out,
        kept,
        M,
        N,
        K,
        aRow: a.transposed ? 1 : K,
        aColumn: a.transposed ? M : 1,
        batches,
        aDiv: run.a.div,
        aMod: run.a.mod,
        bDiv: run.b.div,
        bMod: run.b.mod,
        ...plan,
      };
      const scratchBytes = multiplyScratch(width, plan);
      device.run(kernel, pack(args, constantsOf(epilogue)), plan.tasks, { scratchBytes, grain: plan.grain });
    });
  if (!plan.packed) return multiply(undefined);
  withPacked(device, { ...stored(b), from: b.from, matrices: run.b.mod, panels: plan.panels, N, K }, multiply);
}

interface Packing extends Stored {
  readonly from: KernelArgument;
  readonly matrices: number;
  readonly panels: number;
  readonly N: number;
  readonly K: number;
}

/** Runs `body` with matrices `[K,N]` as panels. */
export function withPacked(
  device: Device,
  { dtype, contiguous, from, matrices, panels, N, K }: Packing,
  body: (packed: DeviceBuffer) => void,
): void {
  const stretches = Math.ceil(K / packRowsPerTask);
  withWorkspace(device, 4 * matrices * panels * panelColumns(device.info.width) * K, (packed) => {
    const { kernel, pack } = packKernel({ dtype, contiguous });
    const grain = Math.max(1, Math.floor(packRowsPerTask / (4 * K)));
    device.run(kernel, pack({ b: from, packed, N, K, panels, stretches }), matrices * panels * stretches, { grain });
    body(packed);
  });
}
