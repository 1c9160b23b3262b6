import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isPlainObject } from '../../../src/core/describe.js';
import { createModel, readConfig, Transformer, type LanguageModel } from '../../../src/models/index.js';
import {
  adamW,
  constantRate,
  type evaluate,
  exportModel,
  inMemory,
  loadCheckpoint,
  type loadAdapters,
  type loadModel,
  nodeFiles,
  type openSafetensors,
  type runTraining,
  Safetensors,
  saveAdapters,
  saveCheckpoint,
  Trainer,
  type LoadedModel,
  type NamedTensors,
  type modelOf,
  type readTensors,
  type sgd,
  type writeSafetensors,
} from '../../../src/train/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import {
  callback,
  device,
  flag,
  floats,
  anything,
  leaf,
  made,
  number,
  optional,
  options,
  positive,
  text,
  value,
  whole,
  word,
  type Kind,
  type World,
} from '../kinds.js';
import { call, plain, type Plain, type Row } from '../row.js';
import { within } from './data.js';

const config = readConfig({ vocabulary: 8, length: 4, layers: 1, width: 4, heads: 2, feedForward: { hidden: 4 } });
const isText = (given: unknown): boolean => typeof given === 'string';
const batches = { batchSize: 1, length: 4, windows: 1, batch: () => new Int32Array(5), startsAnew: () => true };
const precision = word('f32', 'bf16');
const isEmpty = (given: unknown): boolean => isPlainObject(given) && Object.keys(given).length === 0;
/** What a checkpoint's state may be. */
const isJson = (given: unknown): boolean =>
  given === null ||
  ['boolean', 'string'].includes(typeof given) ||
  (typeof given === 'number' && Number.isFinite(given)) ||
  (Array.isArray(given) && given.every(isJson)) ||
  (typeof given === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(given) as object | null));
const parameters = made((world) => [['w', leaf(2, 2).valid(world)]]);
const rate = number(0.1);
const decay = { weightDecay: number(0.1), decays: callback(() => true) };
/** Makes what keeps tensors, and frees it. */
const optimiser = (of: Readonly<Record<string, Kind>>): Row => ({
  signature: [parameters, options({ ...of, ...decay })],
  call: (f: typeof sgd, [named, given]) => {
    f(named as NamedTensors, given as object).dispose();
  },
});
const state = made(() => ({ step: 1 }), isJson);
const source = { dtype: 'f32', shape: [1], bytes: new Float32Array(1) };
const content = options({ tensors: value({ a: source }, isEmpty), state }, ['tensors', 'state']);
const folder = made(({ folder }) => join(folder, 'checkpoint'), isText);
const files = value(nodeFiles);
const bytesOf = (): Uint8Array => {
  const json = new TextEncoder().encode('{}      ');
  return Uint8Array.of(json.length, 0, 0, 0, 0, 0, 0, 0, ...json);
};
const path = made(({ folder }) => {
  const file = join(folder, 'empty.safetensors');
  writeFileSync(file, bytesOf());
  return file;
}, isText);
const weights = made(({ folder }) => join(folder, 'model.safetensors'), isText);
const withModel = async <T>({ device }: World, body: (model: Transformer) => T | Promise<T>): Promise<T> => {
  const model = new Transformer(config).initialise({ device, seed: 1 });
  try {
    return await body(model);
  } finally {
    model.dispose();
  }
};
const withAdapted = async <T>({ device }: World, body: (model: LanguageModel) => T | Promise<T>): Promise<T> => {
  const model = createModel(readConfig({ ...config, lora: { rank: 1 } })).initialise({ device, seed: 1 });
  try {
    return await body(model);
  } finally {
    model.dispose();
  }
};
/** In place of a model that each call makes. */
const aModel = Symbol('model');
const theModel = value(aModel);
const putModel = (given: unknown, model: LanguageModel): unknown =>
  Object(given)['model'] === aModel ? { ...(given as object), model } : given;
const trainer = {
  device,
  model: theModel,
  optimiser: callback((of: NamedTensors) => adamW(of)),
  schedule: callback(() => 0.1),
  batches: value(batches),
  accumulate: positive(1),
  clip: number(1),
  precision,
  lossScale: value(undefined),
  seed: whole(1),
  only: callback(() => true),
};
const trainerOptions = options(trainer, ['device', 'model', 'optimiser', 'schedule', 'batches']);
const makeTrainer = ({ device: on }: World, model: LanguageModel): Trainer =>
  new Trainer({ device: on, model, optimiser: adamW, schedule: constantRate(0.1), batches });
/** A method of a trainer of a model. */
const ofTrainer = (
  name: 'step' | 'statistics' | 'content' | 'load' | 'dispose',
  ...signature: readonly Kind[]
): Row => ({
  signature,
  call: (_, args, world) =>
    withModel(world, async (model) => {
      const own = makeTrainer(world, model);
      try {
        return await (own[name] as (...given: readonly unknown[]) => unknown)(...args);
      } finally {
        own.dispose();
      }
    }),
});
const loaded = async (given: Promise<LoadedModel>): Promise<void> => (await given).model.dispose();
const cost = { batchSize: positive(1), like: value({ width: 4, threads: 1 }), accumulate: positive(1), precision };
const rehearsal = options({ ...cost, batch: value(undefined), optimiser: callback((of: NamedTensors) => adamW(of)) }, [
  'batchSize',
  'like',
]);
const warmUp = { peak: number(1), warmUp: whole(1) };
const run = {
  folder: text(),
  trainer: value(aModel),
  limits: value({ steps: 1, evaluateEvery: 1 }),
  evaluate: callback(() => Promise.resolve({ loss: 1, windows: 1 })),
  bitsPerByte: callback((loss: number) => loss),
  saveEvery: positive(1),
  patience: whole(1),
  data: state,
  settings: state,
  session: value({ device: 'wasm', threads: 1, parameters: 1 }),
  resume: flag(false),
  onBegin: callback(() => undefined),
  onMetric: callback(() => undefined),
  onTrouble: callback(() => undefined),
  stopping: callback(() => true),
  files,
};

export const train: Readonly<Record<string, Row | Plain>> = {
  saveCheckpoint: {
    signature: [folder, content, optional(files)],
    call: (f: (...args: readonly unknown[]) => unknown, [to, ...rest], world) => f(within(world, to), ...rest),
  },
  loadCheckpoint: {
    signature: [folder, optional(files)],
    call: async (f: (...args: readonly unknown[]) => Promise<{ tensors: Safetensors }>, [from, ...rest], world) => {
      await saveCheckpoint(join(world.folder, 'checkpoint'), { tensors: {}, state: null });
      await (await f(within(world, from), ...rest)).tensors.close();
    },
  },
  inMemory: call(value(new ArrayBuffer(4), (given) => given instanceof Uint8Array)),
  openSafetensors: {
    signature: [path, optional(files), optional(callback(() => Promise.resolve()))],
    call: async (f: typeof openSafetensors, args) => (await f(...(args as Parameters<typeof f>))).close(),
  },
  Safetensors: plain('made by Safetensors.open; its constructor is private'),
  'Safetensors.read': {
    signature: [value('a')],
    call: async (_, [name]) => (await Safetensors.open(await oneTensor())).read(name as string),
  },
  'Safetensors.readInto': {
    signature: [value('a'), value(new Uint8Array(4), (given) => given instanceof Uint8Array), optional(whole(0))],
    call: async (_, [name, into, from]) =>
      (await Safetensors.open(await oneTensor())).readInto(name as string, into as Uint8Array, from as number),
  },
  'Safetensors.close': { signature: [], call: async () => (await Safetensors.open(bytesOf())).close() },
  hostTensor: call(text(), value(new Uint8Array(4)), word('f32', 'i32', 'u8')),
  sourceOf: call(floats(2)),
  writeSafetensors: {
    signature: [
      value({ write: () => Promise.resolve() }),
      value({ a: source }, isEmpty),
      optional(value({ note: 'text' }, isEmpty)),
    ],
    // a device has a `write` too
    call: (f: typeof writeSafetensors, [file, ...rest], { device: on }) =>
      f((file === on ? undefined : file) as never, ...(rest as [never, never])),
  },
  clipGradients: call(
    made(
      (world) => [['w', floats(2).valid(world)]],
      (given) => Array.isArray(given) && given.length === 0,
    ),
    number(1),
    options({ unscale: number(1) }),
  ),
  evaluate: {
    signature: [
      options(
        {
          device,
          model: theModel,
          batches: value(batches),
          windows: number(1),
          precision,
          onPredictions: callback(() => undefined),
        },
        ['device', 'model', 'batches'],
      ),
    ],
    call: (f: typeof evaluate, [given], world) => withModel(world, (model) => f(putModel(given, model) as never)),
  },
  lossScaler: call(
    options({
      initial: positive(4),
      growthFactor: positive(2),
      backoffFactor: number(0.5),
      growthInterval: number(10),
      minimum: number(1),
    }),
  ),
  parseMetrics: call(text('')),
  checkExport: call(weights),
  saveAdapters: {
    signature: [
      value('adapters', (to) => typeof to === 'string'),
      theModel,
      options({ lora: value({ rank: 1 }, isPlainObject), from: anything(null) }, ['lora', 'from']),
    ],
    call: (f: typeof saveAdapters, [to, model, note], world) =>
      withAdapted(world, (own) =>
        f(within(world, to) as string, (model === aModel ? own : model) as never, note as never),
      ),
  },
  loadAdapters: {
    signature: [value('adapters'), theModel],
    call: (f: typeof loadAdapters, [from, model], world) =>
      withAdapted(world, async (own) => {
        await saveAdapters(within(world, 'adapters') as string, own, { lora: { rank: 1, alpha: 1 }, from: null });
        await f(within(world, from) as string, (model === aModel ? own : model) as never);
      }),
  },
  exportModel: {
    signature: [weights, theModel, value({ model: config }), options({ map: value(undefined) })],
    call: (f: typeof exportModel, [to, model, json, given], world) =>
      withModel(world, (own) =>
        f(
          within(world, to) as string,
          (model === aModel ? own : model) as LanguageModel,
          json as never,
          given as never,
        ),
      ),
  },
  loadModel: {
    signature: [
      weights,
      options({ device, weights: value(undefined), json: value({ model: config }), map: value(undefined) }, ['device']),
    ],
    call: async (f: typeof loadModel, [from, given], world) => {
      await withModel(world, (own) => exportModel(join(world.folder, 'model.safetensors'), own, { model: config }));
      await loaded(f(within(world, from) as string, given as never));
    },
  },
  modelOf: {
    signature: [
      value({ model: config }),
      made(({ folder }) => Safetensors.open(inMemory(readFileSync(join(folder, 'model.safetensors'))))),
      options({ device, names: callback((name: string) => name), map: value(undefined) }, ['device']),
    ],
    call: async (f: typeof modelOf, [json, file, given]) =>
      loaded(f(json as never, (await file) as never, given as never)),
  },
  adafactor: optimiser({
    relativeStep: flag(),
    clipThreshold: number(1),
    decayExponent: number(0.8),
    epsilon1: number(1),
    epsilon2: number(1),
  }),
  adamW: optimiser({ beta1: number(0.9), beta2: number(0.9), epsilon: number(1) }),
  lion: optimiser({ beta1: number(0.9), beta2: number(0.9) }),
  sgd: optimiser({ momentum: number(0.9), nesterov: flag() }),
  fitToMemory: call(value(config), rehearsal, number(1e9)),
  readTensors: {
    signature: [
      made(async () => Safetensors.open(await oneTensor())),
      options({ device, names: callback((name: string) => name) }, ['device']),
    ],
    call: async (f: typeof readTensors, [file, given]) => disposeAll(await f((await file) as never, given as never)),
  },
  rehearseTraining: call(value(config), rehearsal),
  runTraining: {
    signature: [options(run, ['folder', 'trainer', 'limits', 'bitsPerByte', 'data', 'session'])],
    call: (f: typeof runTraining, [given], world) =>
      withModel(world, async (model) => {
        const own = makeTrainer(world, model);
        const put = Object(given) as { readonly folder?: unknown; readonly trainer?: unknown };
        const to = put.folder === 'name' ? mkdtempSync(join(world.folder, 'run-')) : within(world, put.folder);
        try {
          const whole = typeof put.trainer === 'symbol' && put.trainer === aModel ? { trainer: own } : {};
          await f((Object.hasOwn(put, 'folder') ? { ...put, folder: to, ...whole } : given) as never);
        } finally {
          own.dispose();
        }
      }),
  },
  constantRate: call(rate),
  cosine: call(options({ ...warmUp, steps: positive(9), floor: number(0) }, ['peak', 'steps'])),
  inverseSquareRoot: call(options(warmUp, ['peak'])),
  Trainer: {
    signature: [trainerOptions],
    call: (_, [given], world) =>
      withModel(world, (model) => {
        new Trainer(putModel(given, model) as never).dispose();
      }),
  },
  'Trainer.step': ofTrainer('step'),
  'Trainer.statistics': ofTrainer('statistics'),
  'Trainer.content': ofTrainer('content'),
  'Trainer.load': {
    signature: [options({ tensors: value(aModel), state: value(aModel) }, ['tensors', 'state'])],
    call: (_, [given], world) =>
      withModel(world, async (model) => {
        const own = makeTrainer(world, model);
        const to = mkdtempSync(join(world.folder, 'saved-'));
        await saveCheckpoint(to, own.content());
        const saved = await loadCheckpoint(to);
        const put = Object(given) as Readonly<Record<string, unknown>>;
        const place = (name: 'tensors' | 'state') => put[name] === aModel && { [name]: saved[name] };
        try {
          await own.load(
            (Object.hasOwn(put, 'tensors') ? { ...put, ...place('tensors'), ...place('state') } : given) as never,
          );
        } finally {
          await saved.tensors.close();
          own.dispose();
        }
      }),
  },
  'Trainer.dispose': ofTrainer('dispose'),
};

/** A file of one tensor, `a`. */
async function oneTensor(): Promise<Uint8Array> {
  const json = new TextEncoder().encode('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.padEnd(56));
  return Promise.resolve(Uint8Array.of(json.length, 0, 0, 0, 0, 0, 0, 0, ...json, 0, 0, 0, 0));
}
