// of ops/attend/{check,sizes}

import { describe, expect, test } from 'vitest';
import { CapabilityError, OptionError, OutOfMemoryError, ShapeError } from '../../src/core/errors.js';
import * as masks from '../../src/masks/index.js';
import { attend, type AttendOptions } from '../../src/ops/attend.js';
import { alibi, bias, softcap, t5Bias } from '../../src/scores/index.js';
import { disposeAll, gradients, scope, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice, openDevice } from '../support/devices.js';

type Kind = new (message?: string) => Error;
type Shapes = readonly [q: readonly number[], k: readonly number[], v: readonly number[]];

const good: Shapes = [
  [1, 2, 5, 8],
  [1, 2, 7, 8],
  [1, 2, 7, 4],
];

const shapes: readonly (readonly [what: string, shapes: Shapes, kind: Kind, words: readonly string[]])[] = [
  [
    'rank 3',
    [[2, 5, 8], good[1], good[2]],
    ShapeError,
    ['q must be [B,H,L,D]', 'q=[2,5,8]', 'k=[1,2,7,8]', 'v=[1,2,7,4]'],
  ],
  ['k of rank 3', [good[0], [2, 7, 8], good[2]], ShapeError, ['k [B,G,S,D]', 'k=[2,7,8]']],
  ['v of rank 5', [good[0], good[1], [1, 1, 2, 7, 4]], ShapeError, ['v [B,G,S,E]', 'v=[1,1,2,7,4]']],
  ['other batches', [good[0], [2, 2, 7, 8], [2, 2, 7, 4]], ShapeError, ['one batch size B', 'k=[2,2,7,8]']],
  ['other head sizes', [good[0], [1, 2, 7, 9], good[2]], ShapeError, ['head size D', 'k=[1,2,7,9]']],
  ['v longer than k', [good[0], good[1], [1, 2, 6, 4]], ShapeError, ['length S of k', 'v=[1,2,6,4]']],
  [
    'heads that do not divide',
    [
      [1, 4, 5, 8],
      [1, 3, 7, 8],
      [1, 3, 7, 4],
    ],
    ShapeError,
    ['3 key/value heads must divide the 4 query heads'],
  ],
  [
    'all of it at once',
    [
      [1, 4, 5, 8],
      [2, 3, 7, 9],
      [2, 3, 6, 4],
    ],
    ShapeError,
    ['batch size', 'head size', 'length S', 'divide'],
  ],
  [
    'heads too wide',
    [
      [1, 1, 2, 2049],
      [1, 1, 2, 2049],
      [1, 1, 2, 257],
    ],
    CapabilityError,
    ['D is at most 2048', 'E at most 256'],
  ],
];

const wrong = (options: object): AttendOptions => options;
const options: readonly (readonly [
  what: string,
  options: () => AttendOptions,
  kind: Kind,
  words: readonly string[],
])[] = [
  ['an unknown option', () => wrong({ casual: true }), OptionError, ['"casual"', 'did you mean "causal"', 'known are']],
  ['a window by number', () => wrong({ window: 256 }), OptionError, ['"window"', 'mask']],
  ['causal that is no boolean', () => wrong({ causal: 1 }), OptionError, ['causal must be true or false']],
  ['a mask that is none', () => wrong({ mask: () => true }), OptionError, ['mask must be a Mask', 'within']],
  ['a score that is none', () => wrong({ score: 30 }), OptionError, ['score must be a Score', 'softcap']],
  ['scale NaN', () => ({ scale: NaN }), OptionError, ['scale must be a finite number', 'NaN']],
  ['scale ∞', () => ({ scale: Infinity }), OptionError, ['scale must be a finite number', 'Infinity']],
  ['scale as text', () => wrong({ scale: '0.1' }), OptionError, ['scale must be a finite number']],
  ['dropout of everything', () => ({ dropout: { rate: 1, seed: 0 } }), OptionError, ['dropout.rate', '1']],
  ['dropout below 0', () => ({ dropout: { rate: -0.1, seed: 0 } }), OptionError, ['dropout.rate', '-0.1']],
  [
    'a seed that is no whole number',
    () => ({ dropout: { rate: 0.1, seed: 0.5 } }),
    OptionError,
    ['dropout.seed', '0.5'],
  ],
  ['dropout without a seed', () => wrong({ dropout: { rate: 0.1 } }), OptionError, ['dropout.seed']],
  ['dropout with an unknown option', () => wrong({ dropout: { rate: 0.1, sed: 1 } }), OptionError, ['seed']],
  ['dropout as a number', () => wrong({ dropout: 0.1 }), OptionError, ['dropout']],
  ['global positions beyond the keys', () => ({ mask: masks.global([7]) }), ShapeError, ['position 7', '7 keys']],
  ['documents of another length', () => ({ mask: masks.document([0, 0, 1]) }), ShapeError, ['3 ids', 'S=7']],
  ['lengths of another batch', () => ({ mask: masks.lengths([3, 4]) }), ShapeError, ['2', 'B=1']],
  [
    'a dense mask of another shape',
    () => ({ mask: masks.dense(new Uint8Array(9), [3, 3]) }),
    ShapeError,
    ['[1,1,3,3]', 'L=5', 'S=7'],
  ],
  ['slopes for other heads', () => ({ score: alibi([1, 2, 3]) }), ShapeError, ['3 slopes', 'H=2']],
];

onEveryDevice((on) => {
  const create = (shape: readonly number[], requiresGradient = false): Tensor =>
    zeros(shape, { device: on.device, requiresGradient });

  /** Calls the body in a scope, which frees what it made, and checks the sentence it fails with. */
  const expectSentence = (body: () => unknown, kind: Kind, words: readonly string[]): void => {
    let error: unknown;
    try {
      scope(() => disposeAll(body()));
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(kind);
    const { message } = error as Error;
    for (const word of words) expect(message).toContain(word);
    expect(message).toMatch(/^\w+.*: .+\.$/s);
    expect(message).not.toContain('\n');
  };

  test.each(shapes)('%s', (_, [q, k, v], kind, words) =>
    expectSentence(() => attend(create(q), create(k), create(v)), kind, words),
  );

  test.each(options)('%s', (_, make, kind, words) =>
    expectSentence(() => attend(create(good[0]), create(good[1]), create(good[2]), make()), kind, words),
  );

  describe('tensors', () => {
    test('an empty sequence cannot be made, let alone attended to', () =>
      expectSentence(() => create([1, 2, 0, 8]), ShapeError, ['0']));

    test('integers', () => {
      const ints = (shape: readonly number[]): Tensor => zeros(shape, { device: on.device, dtype: 'i32' });
      expectSentence(() => attend(ints(good[0]), ints(good[1]), ints(good[2])), OptionError, ['q=i32', 'cast']);
    });

    test('two dtypes', () => {
      const half = zeros(good[0], { device: on.device, dtype: 'f16' });
      expectSentence(() => attend(half, create(good[1]), create(good[2])), OptionError, ['q=f16', 'k=f32']);
      half.dispose();
    });

    test('no tensor at all', () =>
      expectSentence(() => attend([1, 2] as unknown as Tensor, create(good[1]), create(good[2])), OptionError, [
        'q must be a tensor',
      ]));

    test('a disposed tensor', () => {
      const q = create(good[0]);
      q.dispose();
      expectSentence(() => attend(q, create(good[1]), create(good[2])), OptionError, ['[1,2,5,8]', 'disposed']);
    });

    test('a disposed table of a score', () => {
      const table = create([32, 2]);
      const score = t5Bias(table);
      table.dispose();
      expectSentence(() => attend(create(good[0]), create(good[1]), create(good[2]), { score }), OptionError, [
        '[32,2]',
        'disposed',
      ]);
    });

    test('tables and biases that do not fit', () => {
      const call = (score: AttendOptions['score']) => () =>
        attend(create(good[0]), create(good[1]), create(good[2]), { score: score! });
      expectSentence(() => call(t5Bias(create([32, 3])))(), ShapeError, ['[32,3]', '[32,2]']);
      expectSentence(() => call(bias(create([5, 6])))(), ShapeError, ['[5,6]', 'L=5', 'S=7']);
      expectSentence(() => softcap(0), OptionError, ['cap', '0']);
    });

    test('what was disposed after attending is still there for the gradients', async () => {
      const q = tensor(new Float32Array(80).fill(1), good[0], { device: on.device, requiresGradient: true });
      const [k, v] = [create(good[1]), create(good[2])];
      const { out, logsumexp } = attend(q, k, v);
      disposeAll([k, v]);
      const cotangent = create([1, 2, 5]);
      const [dq] = gradients([logsumexp], [q], [cotangent]);
      expect(Array.from(await dq!.data()).every((x) => x === 0)).toBe(true);
      disposeAll([q, out, logsumexp, dq, cotangent]);
    });

    test('two devices', async () => {
      const other = (await openDevice(on.kind, { threads: 1 }))!;
      const elsewhere = (shape: readonly number[]): Tensor => zeros(shape, { device: other });
      const words = ['one device', '[1,2,7,8]'];
      expectSentence(() => attend(create(good[0]), elsewhere(good[1]), create(good[2])), OptionError, words);
      const score = (): AttendOptions => ({ score: bias(elsewhere([5, 7])) });
      expectSentence(() => attend(create(good[0]), create(good[1]), create(good[2]), score()), OptionError, [
        'one device',
        '[5,7]',
      ]);
      await other.dispose();
    });

    test('a score that reads no tensor but something like one', () => {
      const score = bias({ shape: [5, 7], dtype: 'f32' });
      expectSentence(() => attend(create(good[0]), create(good[1]), create(good[2]), { score }), OptionError, [
        '"bias"',
        'tensor',
      ]);
    });
  });

  test('where memory runs out, the call says how much, and leaves nothing behind', async () => {
    const shape = [1, 4, 400, 64];
    const bytes = 4 * 4 * 400 * 64;
    let refusals = 0;
    // room for less than the output, for the output alone, for more and more of the rest
    for (let limit = 3 * bytes + 65536; limit <= 5 * bytes; limit += 65536) {
      const small = (await openDevice(on.kind, { threads: 1, memoryLimit: limit }))!;
      const inputs = [
        zeros(shape, { device: small }),
        zeros(shape, { device: small }),
        zeros(shape, { device: small }),
      ] as const;
      const before = small.ledger.live();
      try {
        disposeAll(attend(...inputs, { causal: true }));
      } catch (error) {
        refusals++;
        expect(error).toBeInstanceOf(OutOfMemoryError);
        expect((error as Error).message).toMatch(/\d+ bytes/);
      }
      expect(small.ledger.live()).toBe(before);
      disposeAll(inputs);
      await small.dispose();
    }
    expect(refusals).toBeGreaterThan(2);
  });
});
