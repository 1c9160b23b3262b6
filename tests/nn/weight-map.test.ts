// of nn/weight-change

import { describe, expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import {
  chain,
  joined,
  Linear,
  Module,
  parted,
  reordered,
  reshaped,
  transposed,
  weightMap,
  type Change,
  type WeightRule,
} from '../../src/nn/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';

class Pair extends Module {
  constructor() {
    super();
    this.child('first', new Linear(2, 5, { bias: true }));
    this.child('second', new Linear(2, 3, { bias: false }));
  }
}

const changes: readonly (readonly [
  name: string,
  change: Change,
  shapes: readonly (readonly number[])[],
  out: readonly (readonly number[])[],
])[] = [
  ['transposed', transposed, [[2, 3]], [[3, 2]]],
  [
    'joined',
    joined(-1, [3, 1]),
    [
      [2, 3],
      [2, 1],
    ],
    [[2, 4]],
  ],
  [
    'parted',
    parted(0, [3, 1]),
    [[4, 2]],
    [
      [3, 2],
      [1, 2],
    ],
  ],
  ['reshaped', reshaped([4, 3], [2, 6]), [[4, 3]], [[2, 6]]],
  ['reordered', reordered(1, [2, 0, 1]), [[2, 3]], [[2, 3]]],
  [
    'one after the other',
    chain(transposed, joined(1, [3, 1]), reordered(1, [3, 1, 0, 2])),
    [
      [3, 2],
      [1, 2],
    ],
    [[2, 4]],
  ],
];

describe('maps of weights', () => {
  onEveryDevice((on) => {
    const filled = (shape: readonly number[], seed: number): Tensor =>
      tensor(
        normal(
          seed,
          shape.reduce((a, b) => a * b),
        ),
        shape,
        { device: on.device },
      );

    test.each(changes)('%s: back again, bit by bit', (_, change, shapes, out) =>
      scope(async () => {
        const theirs = shapes.map((shape, i) => filled(shape, i));
        const ours = change.toOurs(theirs);
        expect(ours.map(({ shape }) => shape)).toEqual(out);
        const back = change.toTheirs(ours);
        for (const [i, one] of back.entries()) expect(await one.data()).toEqual(await theirs[i]!.data());
        expect(back).toHaveLength(theirs.length);
      }),
    );

    test('entries move to where the order says', () =>
      scope(async () => {
        const x = tensor([10, 11, 12], [3], { device: on.device });
        expect([...(await reordered(0, [2, 0, 1]).toOurs([x])[0]!.data())]).toEqual([12, 10, 11]);
      }));

    const rules: readonly WeightRule[] = [
      [['a.q.weight', 'a.k.weight'], 'first.weight', chain(transposed, joined(1, [4, 1]))],
      ['a.bias', 'first.bias'],
      ['{*}.last', '{*}.weight'],
    ];
    const map = weightMap(rules, { ties: { copy: 'second.last' }, ignored: ['mask.{i}'] });
    const state = (): Map<string, Tensor> =>
      new Map([
        ['a.q.weight', filled([4, 2], 1)],
        ['a.k.weight', filled([1, 2], 2)],
        ['a.bias', filled([5], 3)],
        ['second.last', filled([2, 3], 4)],
        ['copy', filled([2, 3], 4)],
        ['mask.7', filled([9], 5)],
      ]);

    test('a module takes what is theirs, and gives it back', async () => {
      const module = new Pair();
      const theirs = state();
      module.load(theirs, { map });
      const back = map.toTheirs(module.stateDict());
      expect([...back.keys()].sort()).toEqual([...theirs.keys()].filter((name) => name !== 'mask.7').sort());
      for (const [name, x] of back) expect(await x.data(), name).toEqual(await theirs.get(name)!.data());
      disposeAll([theirs, back]);
      // what was given back was not the module's own
      expect(await module.stateDict().get('first.bias')!.data()).toEqual(Float32Array.from(normal(3, 5)));
      module.dispose();
    });

    test('everything that does not fit is said at once, by their names', () => {
      const module = new Pair();
      const theirs = state();
      theirs.get('a.k.weight')!.dispose();
      theirs.delete('a.k.weight');
      theirs.get('a.bias')!.dispose();
      theirs.set(
        'a.bias',
        scope(() => filled([4], 3)),
      );
      theirs.set(
        'a.bais',
        scope(() => filled([4], 3)),
      );
      theirs.set(
        'mask.x',
        scope(() => filled([1], 3)),
      );
      const load = (): unknown => module.load(theirs, { map });
      expect(load).toThrow(ShapeError);
      expect(load).toThrow(
        'model: 4 tensors do not fit: missing a.k.weight, which with a.q.weight makes first.weight; unexpected a.bais [4] (did you mean "a.bias"?); unexpected mask.x [1]; first.bias (from a.bias) must be [5], not [4]. Nothing was changed',
      );
      theirs.get('a.q.weight')!.dispose();
      theirs.set(
        'a.q.weight',
        scope(() => filled([3, 2], 3)),
      );
      theirs.set(
        'a.k.weight',
        scope(() => filled([1, 2], 3)),
      );
      expect(load).toThrow(
        'a.q.weight [3,2] and a.k.weight [1,2] cannot become first.weight: along axis 1 they must have 4, 1 entries, not 3, 1',
      );
      disposeAll(theirs);
      const strange = scope(() => new Map([['third.bias', filled([2], 1)]]));
      expect(() => map.toTheirs(strange)).toThrow('weightMap: 1 tensors do not fit: unexpected third.bias [2]');
      disposeAll(strange);
    });
  });
});

test('refuses what cannot be undone', () => {
  expect(() => weightMap([['h.{i}.weight', 'layers.weight']])).toThrow(OptionError);
  expect(() => weightMap([['h.{i}.weight', 'layers.weight']])).toThrow(
    'must have the same places, such as {i}, in one order; got h.{i}.weight and layers.weight',
  );
  expect(() => reordered(0, [0, 0])).toThrow('every number from 0 on once');
  expect(() => reshaped([2], [3])).toThrow('[2] and [3] must hold as many numbers');
});
