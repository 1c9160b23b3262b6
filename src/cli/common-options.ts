import { freemem, totalmem } from 'node:os';
import { CapabilityError, OptionError } from '../core/errors.js';
import { createDevice, type Device } from '../devices/index.js';
import { type NamedMask, namedMask } from '../studies/mask-names.js';
import { FailureError, UsageError } from './io.js';

/** Options that several commands take. */
export const deviceOption = {
  takes: 'choice',
  choices: ['auto', 'native', 'wasm', 'webgpu'],
  default: 'auto',
  help: 'where to run; auto is native with a C compiler, else WebAssembly; webgpu is a GPU',
} as const;

export const threadsOption = {
  takes: 'integer',
  value: 'N',
  range: [1, 256],
  help: 'threads, this one included; default one per core',
} as const;

export const dtypeOption = {
  takes: 'choice',
  choices: ['f32', 'f16', 'bf16'],
  help: 'how matrices of the model are kept; default f32',
} as const;

export const seedOption = {
  takes: 'integer',
  value: 'N',
  range: [0, 2 ** 31 - 1],
  default: 0,
  help: 'seed of every random number',
} as const;

const json = { takes: 'output', value: 'FILE', help: 'print JSON instead, or write it to FILE' } as const;
/** Of every command. `--json` alone, and `--json -`, print. */
export const jsonOption = json;
/** The same of commands whose words may stand behind it. */
export const jsonBeforeWords = { ...json, beforeWords: true } as const;

export const longestLength = 2 ** 24;

interface DeviceValues {
  readonly device: string;
  readonly threads: number | undefined;
}

/** The device the options ask for, disposed of whatever happens. */
export async function withDevice<T>(
  who: string,
  { device: kind, threads }: DeviceValues,
  body: (device: Device) => Promise<T>,
): Promise<T> {
  let device: Device;
  try {
    device = await createDevice({
      kind: kind as (typeof deviceOption.choices)[number],
      ...(threads === undefined ? {} : { threads }),
    });
  } catch (error) {
    if (!(error instanceof CapabilityError)) throw error;
    throw new FailureError(`${who}: ${error.message.replace(/^createDevice: /, '')}`);
  }
  try {
    return await body(device);
  } finally {
    await device.dispose();
  }
}

/** Masks by name. @throws UsageError that names the option. */
export function readMasks(who: string, names: readonly string[]): NamedMask[] {
  try {
    const masks = names.map(namedMask);
    return masks.filter(({ name }, i) => masks.findIndex((other) => other.name === name) === i);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new UsageError(`${who}: ${error.message}`);
  }
}

/** Refuses what no option takes. */
export function noPositionals(who: string, positionals: readonly string[], most = 0): void {
  if (positionals.length <= most) return;
  throw new UsageError(`${who}: unexpected argument "${positionals[most]}"; see ${who} --help`);
}

/** Bytes that a single piece of work may take without hurting: half of the memory, and no more than most of what is free. */
export function roomOfMachine(): number {
  const allowed = process.constrainedMemory?.() ?? 0;
  const all = allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
  return Math.min(all / 2, 0.8 * freemem());
}
