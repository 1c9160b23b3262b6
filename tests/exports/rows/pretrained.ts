import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { isPlainObject } from '../../../src/core/describe.js';
import {
  type defineFamily,
  type exportPretrained,
  type loadLlama2c,
  loadPretrained,
  type loadPretrained as LoadPretrained,
  type Pretrained,
  type readGolden,
  type runPretrained,
  type verifyPretrained,
} from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { Safetensors } from '../../../src/train/index.js';
import { fileOf, floats, tinyConfig, tinyWeights, writeFolder } from '../../pretrained/folder.js';
import { anything, callback, device, flag, made, number, options, text, value, word, type World } from '../kinds.js';
import { plain, type Plain, type Row } from '../row.js';

const folders = new Map<string, string>();
/** One for all calls: it is only read. */
function folderIn(world: World): string {
  const known = folders.get(world.folder) ?? madeFolder(world);
  folders.set(world.folder, known);
  return known;
}
const madeFolder = ({ folder }: World): string =>
  writeFolder(mkdtempSync(join(folder, 'published-')), {
    'config.json': tinyConfig,
    'model.safetensors': fileOf(tinyWeights()),
  });
const withModel = async <T>(world: World, body: (loaded: Pretrained) => T | Promise<T>): Promise<T> => {
  const loaded = await loadPretrained(folderIn(world), { device: world.device, tokenizer: false });
  try {
    return await body(loaded);
  } finally {
    loaded.model.dispose();
  }
};
/** In place of a model that each call makes. */
const aModel = Symbol('model');
const theModel = value(aModel);
const put = (given: unknown, loaded: Pretrained): Pretrained => (given === aModel ? loaded : given) as Pretrained;
const isEmpty = (given: unknown): boolean => isPlainObject(given) && Object.keys(given).length === 0;
const inputs = { input_ids: { data: [1, 2, 3], shape: [1, 3] } };
const outputs = new Map([['logits', { data: new Float32Array(18), shape: [1, 3, 6] }]]);
const golden = {
  inputs: value(inputs, isEmpty),
  outputs: value(outputs, (x) => x instanceof Map),
  draws: value(new Map(), (x) => x instanceof Map),
};
const fields = { width: { requirement: { must: 'a number', holds: () => true }, default: 1 } };

export const pretrained: Readonly<Record<string, Row | Plain>> = {
  loadPretrained: {
    signature: [
      made(folderIn),
      options(
        {
          device,
          dtype: word('f32'),
          as: value('GPT2LMHeadModel'),
          ignoreFields: value([], (x) => Array.isArray(x) && x.every((one) => typeof one === 'string')),
          tokenizer: flag(false),
          onProgress: callback(() => undefined),
          signal: anything(undefined),
          hub: value({}, isPlainObject),
        },
        ['device'],
      ),
    ],
    call: async (f: typeof LoadPretrained, [from, given]) => {
      const { model } = await f(from as string, given as never);
      model.dispose();
    },
  },
  exportPretrained: {
    signature: [
      made(({ folder }) => join(mkdtempSync(join(folder, 'to-')), 'new')),
      theModel,
      options({ dtype: word('f32', 'bf16') }),
    ],
    call: (f: typeof exportPretrained, [to, model, given], world) =>
      withModel(world, (loaded) =>
        // a relative path would be one of the working folder
        f((typeof to === 'string' && !to.startsWith('/') ? 7 : to) as string, put(model, loaded), given as never),
      ),
  },
  runPretrained: {
    signature: [theModel, value(inputs), options({ draws: value({}, isEmpty) })],
    call: (f: typeof runPretrained, [model, given, draws], world) =>
      withModel(world, (loaded) => disposeAll(f(put(model, loaded), given as never, draws as never))),
  },
  verifyPretrained: {
    signature: [theModel, options(golden, ['inputs', 'outputs', 'draws']), options({ plain: number(0) })],
    call: (f: typeof verifyPretrained, [model, given, asked], world) =>
      withModel(world, (loaded) => f(put(model, loaded), given as never, asked as never)),
  },
  readGolden: {
    signature: [
      made(async () => Safetensors.open(fileOf({ 'in.input_ids': floats([1, 2]), 'out.logits': floats([1, 2]) }))),
    ],
    call: async (f: typeof readGolden, [file]) => f((await file) as never),
  },
  defineFamily: {
    signature: [
      options(
        {
          modelType: value('name', (x) => typeof x === 'string' || Array.isArray(x)),
          title: text(),
          paper: value({ authors: 'A', title: 'B', year: 2020 }, isPlainObject),
          classes: value({ Model: { task: 'base' } }, isPlainObject),
          prefix: text(),
          fields: value(fields, isPlainObject),
          config: callback(() => ({})),
          map: callback(() => ({ rules: [] })),
          lastHidden: word('normalised', 'stream'),
          pooled: flag(),
          inputs: value({}, isPlainObject),
          run: callback(() => ({})),
          notes: callback(() => []),
        },
        ['modelType', 'title', 'paper', 'classes', 'fields', 'config', 'map'],
      ),
    ],
    call: (f: typeof defineFamily, [given]) => f(given as never),
  },
  loadLlama2c: {
    signature: [
      // 7 sizes and 96 numbers
      made(() => new Uint8Array(Int32Array.from({ length: 103 }, (_, i) => [4, 2, 1, 2, 1, 2, 2][i] ?? 0).buffer)),
      options({ device }, ['device']),
    ],
    call: async (f: typeof loadLlama2c, [bytes, given]) => {
      (await f(bytes as never, given as never)).model.dispose();
    },
  },
  families: plain('a list'),
};
