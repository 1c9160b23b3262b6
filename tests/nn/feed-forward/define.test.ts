// of nn/feed-forward/none

import { expect, test } from 'vitest';
import { integer } from '../../../src/attention/index.js';
import { DenseFeedForward, defineFeedForward, type FeedForwardSizes } from '../../../src/nn/index.js';
import { feedForward, feedForwards, registerFeedForward } from '../../../src/nn/feed-forward/registry.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';

const sizes: FeedForwardSizes = {
  features: 4,
  hidden: 6,
  activation: 'relu',
  gated: false,
  chunk: 0,
  length: 6,
  causal: false,
  share: 1,
};
const definition = {
  name: 'one-product',
  summary: 'A product.',
  paper: { authors: 'Nobody', title: 'None', year: 2026 },
  formula: 'x·W',
  options: { copies: integer({ min: 1, default: ({ L }) => L, help: 'how often' }) },
  create: ({ features }: FeedForwardSizes) => new DenseFeedForward(features, 2),
} as const;

// blocks of every kind divide the units, and there are tokens for as many experts
const long = { ...sizes, hidden: 64, length: 64 };

onEveryDevice((on) => {
  test.each(feedForwards.map((kind) => [kind.name, kind] as const))(
    '%s: the multiply-adds are those it says',
    (name, kind) => {
      const layer = kind.create(long).initialise({ device: on.device, seed: 1 });
      const before = on.device.counters.multiplyAdds;
      const out = scope(() => layer.forward(tensor(uniform(1, 2 * 64 * 4), [2, 64, 4], { device: on.device }), {}));
      expect(on.device.counters.multiplyAdds - before, name).toBe(2 * kind.cost(long)!.multiplyAdds);
      disposeAll(out);
      layer.dispose();
    },
  );
});

test('sizes and options are checked, with every reason', () => {
  const own = defineFeedForward({ ...definition, supports: { causal: false, hidden: false } });
  expect(own.settle(sizes)).toEqual({ copies: 6 });
  expect(own.cost(sizes)).toBeUndefined();
  expect(() => own.create(sizes, { copeis: 2 })).toThrow('did you mean "copies"');
  expect(() => own.create({ ...sizes, causal: true })).toThrow(
    'one-product: has no causal form; take it for an encoder.',
  );
  expect(() => own.create({ ...sizes, chunk: 3 })).toThrow(
    'one-product: takes no chunk; got 3, and 0 is for all at once.',
  );
  expect(() => own.create({ ...sizes, hidden: 0.5 })).toThrow('hidden must be a whole number of at least 1; got 0.5');
  expect(() => own.create({ ...sizes, share: 0 })).toThrow('share must be a number above 0; got 0');
  expect([own.supports('hidden'), own.supports('gated'), own.supports('chunk')]).toEqual([false, true, false]);
});

test('dense takes all sizes of the section', () => {
  const layer = feedForward('dense').create({ ...sizes, gated: true, chunk: 2 }) as DenseFeedForward;
  expect([layer.hidden, layer.activation, layer.gate !== undefined, layer.chunk]).toEqual([6, 'relu', true, 2]);
});

test('a definition is whole, and a name is taken once', () => {
  expect(() => defineFeedForward({ ...definition, create: 3 } as never)).toThrow('create must be');
  expect(() => defineFeedForward({ ...definition, supports: { chunks: true } } as never)).toThrow(
    'did you mean "chunk"',
  );
  expect(() => defineFeedForward({ ...definition, defaults: { activation: 'rlu' } } as never)).toThrow('activation');
  expect(() => feedForward('dens')).toThrow('unknown feed-forward "dens" (did you mean "dense"?)');
  const own = defineFeedForward(definition);
  const forget = registerFeedForward(own);
  expect(feedForward('one-product')).toBe(own);
  expect(() => registerFeedForward(defineFeedForward(definition))).toThrow(
    'there is a feed-forward "one-product" already',
  );
  expect(() => registerFeedForward({} as never)).toThrow('takes what defineFeedForward returns');
  forget();
  expect(() => feedForward('one-product')).toThrow('unknown feed-forward "one-product"');
});
