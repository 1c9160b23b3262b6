import { DeviceError, OptionError } from '../core/errors.js';
import type { Kernel, ParameterKind } from '../codegen/kernel.js';
import type { KernelArgument } from './device.js';
import type { Memory } from './memory/memory.js';

/** A program is given this many arguments at most. */
export const MAX_PARAMETERS = 512;
const MAX_TASKS = 2 ** 30;

/** @throws OptionError for a number of tasks, or of tasks at a time, that no device takes. */
export function checkTasks({ name }: Kernel, tasks: number, grain: number): void {
  const whole = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;
  if (whole(tasks, 0) && tasks <= MAX_TASKS && whole(grain, 1)) return;
  throw new OptionError(
    `${name}: tasks must be a whole number from 0 to 2^30 and grain one of at least 1; got ${tasks} and ${grain}.`,
  );
}

/**
 * Gives each argument to `place`, buffers by their address.
 *
 * @throws DeviceError for arguments that are not those of the kernel, or buffers that are not live in `memory`.
 */
export function placeArguments(
  kernel: Kernel,
  args: readonly KernelArgument[],
  memory: Memory,
  place: (index: number, kind: ParameterKind, value: number) => void,
): void {
  const { name, parameters } = kernel;
  if (args.length !== parameters.length || args.length > MAX_PARAMETERS) {
    throw new DeviceError(`${name}: takes ${parameters.length} arguments (at most 512); got ${args.length}.`);
  }
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    const kind = parameters[i]!;
    if ((kind === 'pointer') !== (typeof argument === 'object')) {
      throw new DeviceError(`${name}: argument ${i} must be a ${kind}; got a ${typeof argument}.`);
    }
    if (typeof argument === 'object') place(i, kind, addressOf(name, argument, memory));
    else if (kind === 'f32' || (argument | 0) === argument) place(i, kind, argument);
    else throw new DeviceError(`${name}: argument ${i} must be a 32-bit whole number; got ${argument}.`);
  }
}

function addressOf(name: string, argument: Exclude<KernelArgument, number>, memory: Memory): number {
  if (!('buffer' in argument)) return memory.block(argument, name).address;
  const { buffer, byteOffset } = argument;
  const { address } = memory.block(buffer, name);
  if (byteOffset >= 0 && byteOffset <= buffer.byteLength) return address + byteOffset;
  throw new DeviceError(`${name}: byte offset ${byteOffset} lies outside a buffer of ${buffer.byteLength} bytes.`);
}
