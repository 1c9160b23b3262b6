import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sum, type createDevice, type gradients, type Tensor } from '../../../src/index.js';
import {
  callback,
  device,
  either,
  flag,
  floats,
  leaf,
  list,
  made,
  number,
  numbers,
  optional,
  options,
  positive,
  shape,
  text,
  value,
  word,
  anything,
} from '../kinds.js';
import { fakeGpu } from '../../support/fake-gpu.js';
import { call, make, method, plain, type Plain, type Row } from '../row.js';

const dtype = word('f32', 'f16', 'bf16', 'i32', 'u8');
const category = word('tensor', 'parameter', 'saved', 'workspace', 'cache');
const making = options({ device, dtype, requiresGradient: flag(), category });
const ofTensor = method((world) => floats(1).valid(world));
const outputs = made((world) => [sum(leaf(2).valid(world) as Tensor)]);

export const tensors: Readonly<Record<string, Row | Plain>> = {
  createDevice: {
    signature: [
      options({
        kind: word('webgpu', 'wasm', 'native', 'auto'),
        // a gpu goes with kind webgpu only
        gpu: value(fakeGpu()),
        threads: positive(1),
        memoryLimit: positive(2 ** 24),
        poison: flag(),
        cacheFolder: text(join(tmpdir(), 'nowhere')),
      }),
    ],
    call: async (f: typeof createDevice, [given]) => (await f(given as object)).dispose(),
  },
  recompute: call(
    callback((x: Tensor) => [sum(x)]),
    list(floats(2, 3), 1),
  ),
  gradients: {
    signature: [
      outputs,
      list(leaf(2), 1),
      optional(
        list(
          either(
            floats(),
            value(undefined, (x) => x === undefined),
          ),
          1,
        ),
      ),
      options({ release: flag(), rows: flag() }),
    ],
    call: (f: typeof gradients, [out, ins, cotangents, given], world) => {
      // the rows are made one by one: a history of its own
      const x = leaf(2).valid(world) as Tensor;
      const known = Array.isArray(out) && out.length === 1 && Array.isArray(ins) && ins[0]?.requiresGradient;
      return known
        ? f([sum(x)], [x], cotangents as never, given as never)
        : f(out as never, ins as never, cotangents as never, given as never);
    },
  },
  ...Object.fromEntries(
    ['Shape', 'Option', 'Capability', 'OutOfMemory', 'Numerics', 'Device', 'Format'].map((of) => [
      `${of}Error`,
      plain('an error'),
    ]),
  ),
  keep: plain('passes any value on'),
  leakedTensors: call(),
  liveTensors: call(),
  noGradient: call(callback(() => 1)),
  scope: call(callback(() => 1)),
  tensor: call(numbers([1, 2, 3, 4]), optional(shape(2, 2)), making),
  full: call(shape(2, 2), number(), making),
  zeros: call(shape(2, 2), making),
  useDevice: {
    signature: [optional(device)],
    call: (f: (device: unknown) => unknown, [given]) => {
      const before = f(given);
      f(before);
    },
  },
  Tensor: plain('made by tensor() and operations; its constructor is internal'),
  'Tensor.data': ofTensor('data'),
  'Tensor.item': ofTensor('item'),
  'Tensor.pipe': ofTensor(
    'pipe',
    callback((x: unknown) => x),
    anything(1),
  ),
  'Tensor.dispose': ofTensor('dispose'),
  'Tensor.toString': ofTensor('toString'),
};
void make;
