import { describe, expect, test } from 'vitest';
import {
  choice,
  constantOf,
  costOfPairs,
  defineAttention,
  drawn,
  flag,
  headPairs,
  integer,
  integers,
  learned,
  mechanism,
  normalOf,
  number,
  orthogonalRows,
  type AttentionShape,
} from '../../src/attention/index.js';
import { parseOption, resolveOptions } from '../../src/attention/options.js';
import { mul } from '../../src/ops/index.js';
import { within } from '../../src/masks/index.js';
import { disposeAll, full, gradients } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

const shape: AttentionShape = { B: 1, H: 2, G: 2, L: 9, S: 9, D: 4, E: 4 };
const paper = { authors: 'Nobody', title: 'Nothing', year: 2026 };
const no = { causal: false, cross: false, padding: false, score: false, groupedHeads: false, decode: false } as const;

/** Values times a learned factor: a mechanism with a parameter and every type of option. */
const scaled = defineAttention({
  name: 'scaled-values',
  family: 'mixers',
  level: 'mixer',
  summary: 'values, scaled',
  paper,
  formula: 'out = f · v',
  complexity: 'n·d',
  exactness: 'learned',
  options: {
    count: integer({ min: 1, max: 9, default: ({ L }) => Math.min(9, L), help: 'a count' }),
    rate: number({ min: 0, max: 1, default: 0.5, help: 'a rate' }),
    mode: choice(['soft', 'hard'], { default: 'soft', help: 'a mode' }),
    strict: flag({ default: false, help: 'a flag' }),
    places: integers({ min: 0, default: [0], help: 'places' }),
  },
  supports: no,
  parameters: ({ E }) => ({ factor: learned([E], constantOf(2)), noise: drawn([E], normalOf(1)) }),
  refuse: ({ L }) =>
    L % 3 === 0 ? [] : [`the length must be a multiple of 3: ${3 * Math.floor(L / 3)} or ${3 * Math.ceil(L / 3)}`],
  cost: () => ({ multiplyAdds: 0 }),
  forward: ({ v, parameters: { factor } }) => ({ out: mul(v, factor) }),
});

describe('options', () => {
  const specs = scaled.definition.options;

  test('defaults, also those that depend on the shape', () => {
    const { values, refused } = resolveOptions(specs, {}, shape);
    expect(refused).toEqual([]);
    expect(values).toEqual({ count: 9, rate: 0.5, mode: 'soft', strict: false, places: [0] });
    expect(resolveOptions(specs, {}, { ...shape, L: 3 }).values.count).toBe(3);
  });

  test('every fault is named', () => {
    const given = { count: 10, rate: NaN, mode: 'sotf', strict: 1, places: [0.5], cuont: 3 };
    const { refused } = resolveOptions(specs, given, shape);
    expect(refused).toEqual([
      'count must be a whole number from 1 to 9; got 10',
      'rate must be a number from 0 to 1; got NaN',
      'mode must be "soft" or "hard"; got "sotf" (did you mean "soft"?)',
      'strict must be true or false; got 1',
      'places must be a list of whole numbers of at least 0; got [0.5]',
      'unknown option "cuont" (did you mean "count"?); known are count, rate, mode, strict, places',
    ]);
  });

  test('texts of the command line', () => {
    expect(parseOption(specs.count, '7')).toBe(7);
    expect(parseOption(specs.count, 'x')).toBeUndefined();
    expect(parseOption(specs.strict, 'true')).toBe(true);
    expect(parseOption(specs.strict, 'yes')).toBeUndefined();
    expect(parseOption(specs.places, '1+5+9')).toEqual([1, 5, 9]);
    expect(parseOption(specs.places, 'none')).toEqual([]);
    expect(parseOption(specs.places, '1+')).toBeUndefined();
  });
});

describe('definitions that contradict themselves are refused', () => {
  const plain = {
    name: 'a-name',
    family: 'exact',
    summary: '',
    paper,
    formula: '',
    complexity: '',
    exactness: 'exact',
    options: {},
    supports: no,
    pattern: () => within({ radius: 1 }),
    cost: (s: AttentionShape) => costOfPairs(s, 1),
  } as const;

  test.each([
    [{ name: 'Upper' }, 'lower case'],
    [{ pattern: undefined }, 'needs forward or pattern'],
    [{ options: { causal: flag({ default: true, help: '' }) } }, 'option causal is one of every call'],
    [{ supports: { ...no, decode: 'cache' } }, 'decoding needs causal'],
    [{ supports: { ...no, causal: true, decode: 'recurrent' } }, 'recurrence go together'],
    [{ parameters: () => ({ w: learned([1], constantOf(0)) }) }, 'need a forward'],
  ])('%j', (change, sentence) => {
    expect(() => defineAttention({ ...plain, ...change } as never)).toThrow(sentence);
  });
});

test('pairs of one head: rows at the bottom right', () => {
  expect(headPairs({ L: 4, S: 4 }, true)).toBe(10);
  expect(headPairs({ L: 2, S: 5 }, true)).toBe(4 + 5);
  expect(headPairs({ L: 5, S: 2 }, true)).toBe(0 + 0 + 0 + 1 + 2);
  expect(headPairs({ L: 5, S: 2 }, false)).toBe(10);
});

test('orthogonal rows: orthogonal within a block, norms of Gaussian vectors, the same for the same seed', () => {
  const [M, D] = [10, 4];
  const rows = orthogonalRows([M, D], 3, 'a test');
  const dot = (a: number, b: number): number =>
    Array.from({ length: D }, (_, c) => rows[a * D + c]! * rows[b * D + c]!).reduce((sum, x) => sum + x, 0);
  for (let a = 0; a < M; a++) {
    for (let b = 0; b < a; b++) {
      if (Math.floor(a / D) === Math.floor(b / D)) expect(Math.abs(dot(a, b))).toBeLessThan(1e-5);
    }
  }
  expect(orthogonalRows([M, D], 3, 'a test')).toEqual(rows);
  const many = orthogonalRows([4000, D], 5, 'norms');
  const square = many.reduce((sum, x) => sum + x * x, 0) / 4000;
  // E‖g‖² = D, standard deviation √(2D/4000)
  expect(Math.abs(square - D)).toBeLessThan(4 * Math.sqrt((2 * D) / 4000));
});

test('names of the registry', () => {
  expect(mechanism('flash').name).toBe('flash');
  expect(() => mechanism('flsh')).toThrow('unknown mechanism "flsh" (did you mean "flash"?)');
});

onEveryDevice((on) => {
  const inputs = (length = 9) => {
    const make = (value: number) => full([1, 2, length, 4], value, { device: on.device });
    return [make(1), make(2), make(3)] as const;
  };

  test('parameters are drawn when they are not given, and the result lists them', async () => {
    const [q, k, v] = inputs();
    const { out, drawn: names, seed } = scaled.run(q, k, v, { seed: 4 });
    expect(names).toEqual(['factor', 'noise']);
    expect(seed).toBe(4);
    expect((await out.data())[0]).toBe(6);
    const parameters = scaled.parameters(shape, { device: on.device, seed: 4 });
    expect(parameters.factor.requiresGradient).toBe(true);
    expect(parameters.noise.requiresGradient).toBe(false);
    const given = scaled.run(q, k, v, { parameters });
    expect(given.drawn).toEqual([]);
    const [dfactor] = gradients([given.out], [parameters.factor], [out]);
    // Σ over 18 rows of v · out
    expect((await dfactor!.data())[0]).toBe(18 * 3 * 6);
    disposeAll([q, k, v, out, given, parameters, dfactor]);
  });

  test('a refusal tells every reason at once and allocates nothing', () => {
    const [q, k, v] = inputs(10);
    const before = on.device.ledger.mark();
    const refused = () =>
      scaled.run(q, k, v, {
        count: 0,
        rate: 2,
        causal: true,
        lengths: [3],
        scale: NaN,
        parameters: { factor: q },
      } as never);
    expect(refused).toThrow(
      /^scaled-values: count must be .*; got 0; rate must be .*; scale must be a finite number; got NaN; it has no causal form; it takes no padding/,
    );
    expect(() => scaled.run(q, k, v)).toThrow('the length must be a multiple of 3: 9 or 12 (q=[1,2,10,4]');
    expect(on.device.ledger.peak).toBe(before);
    disposeAll([q, k, v]);
  });

  test('a parameter of another shape is named with both shapes', () => {
    const [q, k, v] = inputs();
    expect(() => scaled.run(q, k, v, { parameters: { factor: q } })).toThrow(
      'parameters.factor must be [4]; got [1,2,9,4]',
    );
    expect(() => scaled.run(q, k, v, { parameters: { fctor: q } } as never)).toThrow('unknown parameters "fctor"');
    disposeAll([q, k, v]);
  });

  test('a decoder ends at its length, and says so', () => {
    const [q, k, v] = inputs();
    const decoder = mechanism('flash').decoder({ maxLength: 12 });
    disposeAll(decoder.step(q, k, v));
    expect(decoder.length).toBe(9);
    expect(() => decoder.step(q, k, v)).toThrow("9 tokens and 9 more exceed the decoder's maxLength of 12");
    decoder.dispose();
    expect(() => scaled.decoder({ maxLength: 3 })).toThrow('does not decode');
    disposeAll([q, k, v]);
  });
});

test('types: causal only where it is defined', () => {
  const check = (): void => {
    // @ts-expect-error it has no causal form
    scaled.run(undefined!, undefined!, undefined!, { causal: true });
    // @ts-expect-error no such mode
    scaled.run(undefined!, undefined!, undefined!, { mode: 'sotf' });
    // @ts-expect-error no such parameter
    scaled.run(undefined!, undefined!, undefined!, { parameters: { other: undefined! } });
  };
  expect(check).toBeTypeOf('function');
});
