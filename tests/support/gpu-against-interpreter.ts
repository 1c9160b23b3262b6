import { record, type Kernel } from '../../src/codegen/kernel.js';
import type { WebGpuDevice } from '../../src/devices/webgpu/device.js';
import { interpret } from '../codegen/interpreter.js';
import type { Argument, RunOptions } from './targets.js';

const up = (bytes: number): number => Math.ceil(bytes / 64) * 64 + 64;
const isArray = (arg: Argument): arg is Exclude<Argument, number | { readonly addressesOf: readonly number[] }> =>
  typeof arg === 'object' && 'byteLength' in arg;

/** What a kernel leaves in its arguments that are arrays, on a GPU and by the interpreter of its program at the same width. */
export async function onGpuAndInterpreted(
  device: WebGpuDevice,
  kernel: Kernel,
  args: readonly Argument[],
  { end = 1, scratchBytes = 0 }: RunOptions = {},
): Promise<{ readonly got: readonly Uint8Array[]; readonly want: readonly Uint8Array[] }> {
  return {
    got: await onGpu(device, kernel, args, end, scratchBytes),
    want: interpreted(device, kernel, args, end, scratchBytes),
  };
}

async function onGpu(
  device: WebGpuDevice,
  kernel: Kernel,
  args: readonly Argument[],
  tasks: number,
  scratchBytes: number,
): Promise<Uint8Array[]> {
  const buffers = args.map((arg) => {
    if (typeof arg === 'number') return undefined;
    const buffer = device.allocate(isArray(arg) ? arg.byteLength : 8 * arg.addressesOf.length, 'tensor');
    if (isArray(arg)) device.write(buffer, arg);
    return buffer;
  });
  args.forEach((arg, i) => {
    if (typeof arg === 'number' || isArray(arg)) return;
    device.write(
      buffers[i]!,
      BigUint64Array.from(arg.addressesOf, (j) => BigInt(buffers[j]!.address)),
    );
  });
  device.run(
    kernel,
    args.map((arg, i) => (typeof arg === 'number' ? arg : buffers[i]!)),
    tasks,
    { scratchBytes },
  );
  const out: Uint8Array[] = [];
  for (const [i, arg] of args.entries())
    if (typeof arg !== 'number' && isArray(arg)) out.push(await device.read(buffers[i]!));
  for (const buffer of buffers) if (buffer) device.free(buffer);
  return out;
}

function interpreted(
  device: WebGpuDevice,
  kernel: Kernel,
  args: readonly Argument[],
  end: number,
  scratchBytes: number,
): Uint8Array[] {
  const width = kernel.vectorOn === 'invocation' ? 1 : device.target.width;
  let at = 64;
  const places = args.map((arg) => {
    const place = at;
    at += typeof arg === 'number' ? 0 : up(isArray(arg) ? arg.byteLength : 8 * arg.addressesOf.length);
    return place;
  });
  const memory = new ArrayBuffer(at + up(scratchBytes));
  args.forEach((arg, i) => {
    if (typeof arg === 'number') return;
    const bytes = isArray(arg) ? arg : BigUint64Array.from(arg.addressesOf, (j) => BigInt(places[j]!));
    new Uint8Array(memory, places[i]).set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  });
  const numbers = args.map((arg, i) => (typeof arg === 'number' ? arg : places[i]!));
  for (let task = 0; task < end; task++) {
    interpret(record(kernel, width), {
      width,
      memory,
      args: numbers,
      scratch: at,
      begin: task,
      end: task + 1,
      fused: false,
    });
  }
  return args.flatMap((arg, i) =>
    typeof arg !== 'number' && isArray(arg) ? [new Uint8Array(memory, places[i], arg.byteLength)] : [],
  );
}
