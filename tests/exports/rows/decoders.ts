import { flash, type Decoder } from '../../../src/attention/index.js';
import { Tensor } from '../../../src/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { either, floats, numbers, open, optional, options, value, whole, type Kind, type World } from '../kinds.js';
import type { Row } from '../row.js';

/** In place of what each call makes. */
const [aHeader, theTensors] = [Symbol('header'), Symbol('tensors')];

/** Two rows of two tokens each. */
async function withDecoder({ device }: World, body: (decoder: Decoder) => unknown): Promise<unknown> {
  const decoder = flash.decoder({ maxLength: 8 });
  const x = floats(2, 2, 2, 4).valid({ device } as World) as Tensor;
  try {
    disposeAll(decoder.step(x, x, x));
    return await body(decoder);
  } finally {
    decoder.dispose();
    x.dispose();
  }
}

type Method = (...args: readonly unknown[]) => unknown;
const row = (name: string, ...signature: readonly Kind[]): Readonly<Record<string, Row>> => ({
  [`Mechanism.decoder().${name}`]: {
    signature,
    call: (_, args, world) =>
      withDecoder(world, (decoder) => {
        const result = (decoder as unknown as Readonly<Record<string, Method>>)[name]!(...args);
        // a fork is gone with the decoder, and a state with its tensors
        if (result instanceof Object && 'dispose' in result && !(result instanceof Tensor))
          (result as Decoder).dispose();
        else if (result instanceof Object && 'tensors' in result)
          disposeAll([...(result.tensors as Map<string, Tensor>).values()]);
        else return result;
        return undefined;
      }),
  },
});

const next = floats(2, 2, 1, 4);
const inputs = value({}, (x) => typeof x === 'object' && x !== null && Object.keys(x).length === 0);
const state = open(options({ header: value(aHeader), tensors: value(theTensors) }, ['header', 'tensors']));

export const decoders: Readonly<Record<string, Row>> = {
  ...row('step', next, next, next, options({ inputs, rows: numbers([1, 0]) })),
  ...row('fork', optional(numbers([1, 0, 1]))),
  ...row('truncate', either(numbers([2, 0]), whole())),
  ...row('export'),
  ...row('reset'),
  ...row('dispose'),
  'Mechanism.decoder().import': {
    signature: [state],
    call: (_, [from], world) =>
      withDecoder(world, (decoder) => {
        const { header, tensors } = decoder.export();
        const put = new Map<unknown, unknown>([
          [aHeader, header],
          [theTensors, tensors],
        ]);
        try {
          const given = Object.entries(Object(from) as object).map(([key, one]) => [key, put.get(one) ?? one]);
          decoder.import(Object.hasOwn(Object(from), 'header') ? Object.fromEntries(given) : (from as never));
        } finally {
          disposeAll([...tensors.values()]);
        }
      }),
  },
};
