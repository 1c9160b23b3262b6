import { drawParameter } from '../attention/parameters.js';
import { bytesPerElement, widen, type Dtype, type FloatDtype } from '../core/dtype.js';
import { ShapeError } from '../core/errors.js';
import { show, sizeOf } from '../core/shape.js';
import { RehearsalDevice, type Device } from '../devices/index.js';
import type { LanguageModel } from '../models/index.js';
import { same, type WeightMap } from '../nn/index.js';
import { misfits } from '../nn/state.js';
import type { MapPart } from '../nn/weight-map.js';
import { argument } from '../ops/map.js';
import { runElementwise } from '../tensor/elementwise.js';
import { empty, noGradient, scope, tensor, writable, type Tensor } from '../tensor/index.js';
import { hostTensor } from '../train/checkpoint/index.js';
import type { WeightFiles } from './weight-files.js';

export interface LoadWeightsOptions {
  readonly device: Device;
  readonly map: WeightMap;
  /** Parameters that the file lacks: `'refuse'`, or `'keep'` what they were drawn with. */
  readonly missing?: 'refuse' | 'keep';
  /** Bytes that are on their way at a time: a multiple of 8. */
  readonly chunk?: number;
}

/** Bytes that are on their way from a file to the device at a time. */
const CHUNK = 2 ** 23;
/** Numbers that are widened at a time: few enough to stay in the processor's cache. */
const WIDENED = 2 ** 15;
/** Parts whose tensors are changed on the way, and are larger than this, come first: what they took is used again by those after. */
const LARGE = 2 ** 24;

/**
 * The weights of files as the parameters of a model, stored as those are (`store`), part by part of the map: beside the parameters only
 * what one part needs is held.
 *
 * @throws ShapeError naming every tensor that is missing, unexpected or of another shape, before any is read.
 */
export async function loadWeights(
  who: string,
  model: LanguageModel,
  files: WeightFiles,
  options: LoadWeightsOptions,
): Promise<void> {
  const { device, map, chunk = CHUNK } = options;
  refuseMisfits(who, model, files, options);
  const parameters = model.namedParameters();
  for (const [name, parameter] of parameters) {
    if (!map.isOwn(name)) continue;
    const purpose = `parameter ${name}`;
    scope(() => parameter.set(drawParameter(parameter.spec, { device, seed: 0, purpose })));
  }
  const parts = map.parts([...files.entries.keys()]);
  const storage = (name: string): FloatDtype => parameters.get(name)!.storage;
  const narrowed = ({ theirs, ours }: MapPart): boolean =>
    ours.some((name, i) => storage(name) !== 'f32' && storage(name) !== files.entries.get(theirs[i]!)!.dtype);
  const size = (part: MapPart): number => {
    const bytes = part.theirs.reduce((sum, name) => sum + sizeOf(files.entries.get(name)!.shape) * 4, 0);
    return (part.change === same && !narrowed(part)) || bytes < LARGE ? 0 : bytes;
  };
  const longest = [...files.entries.values()].reduce((most, { begin, end }) => Math.max(most, end - begin), 0);
  // all of them pass through the same memory: what is new would have to be cleared first, which takes longer than to read
  const reading = {
    files,
    device,
    piece: new Uint8Array(Math.min(chunk, longest)),
    wide: new Uint32Array(Math.min(WIDENED, chunk / 4)),
  };
  for (const { theirs, ours, change } of [...parts].sort((a, b) => size(b) - size(a))) {
    const read: Tensor[] = [];
    try {
      for (const [i, name] of theirs.entries()) {
        read.push(await readTensor(who, name, reading, change === same ? storage(ours[i]!) : undefined));
      }
      scope(() => {
        noGradient(() => change.toOurs(read)).forEach((value, i) =>
          parameters.get(ours[i]!)!.set(asParameter(value, storage(ours[i]!))),
        );
      });
    } finally {
      for (const one of read) one.dispose();
    }
  }
}

/** A tensor as a parameter keeps it. */
function asParameter(value: Tensor, dtype: FloatDtype): Tensor {
  if (value.dtype === dtype && value.buffer.category === 'parameter') return value;
  const copy = empty(value.shape, dtype, value.device, 'parameter');
  runElementwise(argument(0), [value], copy);
  return copy;
}

interface Reading {
  readonly files: WeightFiles;
  readonly device: Device;
  /** What is on its way. */
  readonly piece: Uint8Array<ArrayBuffer>;
  readonly wide: Uint32Array;
}

/**
 * In no scope: the caller disposes of it. What becomes a parameter as it is, kept as `kept`, is widened on the way where it has to be.
 */
async function readTensor(
  who: string,
  name: string,
  { files, device, piece, wide }: Reading,
  kept?: FloatDtype,
): Promise<Tensor> {
  const { dtype, shape, begin, end } = files.entries.get(name)!;
  const own = storedAs(dtype);
  if (own !== dtype) {
    const bytes = new Uint8Array(end - begin);
    await files.readInto(name, bytes);
    const { data, dtype: made } = hostTensor(`${who}: tensor ${name}`, bytes, dtype);
    return tensor(data, shape, { device, dtype: made });
  }
  const widened = kept === 'f32' && (own === 'f16' || own === 'bf16') ? own : undefined;
  const last = own === kept || widened !== undefined;
  const out = last ? empty(shape, kept!, device, 'parameter') : empty(shape, own, device);
  try {
    const buffer = writable(out);
    for (let at = 0; at < end - begin; at += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, end - begin - at));
      await files.readInto(name, part, at);
      if (widened === undefined) {
        device.write(buffer, part, at);
        continue;
      }
      for (let from = 0; from < part.length; from += 2 * wide.length) {
        const halves = new Uint16Array(part.buffer, from, Math.min(wide.length, (part.length - from) / 2));
        widen(halves, widened, wide);
        device.write(buffer, wide.subarray(0, halves.length), 2 * (at + from));
      }
    }
    return out;
  } catch (error) {
    out.dispose();
    throw error;
  }
}

/** What a stored dtype becomes. */
function storedAs(dtype: string): Dtype | undefined {
  if (Object.hasOwn(bytesPerElement, dtype)) return dtype as Dtype;
  if (dtype === 'f64') return 'f32';
  if (dtype === 'bool') return 'u8';
  return /^[iu](8|16|32|64)$/.test(dtype) ? 'i32' : undefined;
}

/** Looks at the shapes alone, on a device that does not compute. */
function refuseMisfits(
  who: string,
  model: LanguageModel,
  { entries }: WeightFiles,
  { device, map, missing }: LoadWeightsOptions,
): void {
  const parameters = new Map([...model.namedParameters()].filter(([name]) => !map.isOwn(name)));
  const rehearsal = new RehearsalDevice({ like: device.info, countPairs: false });
  const read = [...entries.values()].filter(({ name }) => map.reads(name));
  const foreign = read.filter(({ dtype, shape }) => storedAs(dtype) === undefined || shape.includes(0));
  const reasons = scope(() => {
    const state = new Map(
      read
        .filter((entry) => !foreign.includes(entry))
        .map(({ name, dtype, shape }) => [name, empty(shape, storedAs(dtype)!, rehearsal)] as const),
    );
    return misfits(parameters, map.toOurs(state), { ...(missing && { missing }) });
  });
  const strange = foreign.map(
    ({ name, dtype, shape }) => `${name} ${show(shape)} is of dtype ${dtype}, which is not read`,
  );
  if (reasons.length + strange.length === 0) return;
  throw new ShapeError(
    `${who}: ${reasons.length + strange.length} tensors do not fit config.json: ${[...strange, ...reasons].join('; ')}. ` +
      'Take the config.json that was saved with them.',
  );
}
