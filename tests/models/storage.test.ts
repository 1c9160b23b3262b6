import { expect, test } from 'vitest';
import { createModel, openSession, readConfig, type SessionOptions, type Transformer } from '../../src/models/index.js';
import { CapabilityError, OptionError } from '../../src/core/errors.js';
import { scope, tensor } from '../../src/tensor/index.js';
import { storedAs } from '../oracles/storage.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { exactly, numbersOf, parametersOf } from './check.js';
import { ModelOracle } from './oracle.js';

const small = { layers: 2, width: 16, heads: 4, kvHeads: 2, length: 48, vocabulary: 32, tied: false };
const tokens = [3, 1, 4, 1, 5, 9, 2, 6];

onWebAssemblyFirst((on) => {
  const made = (config: object = {}, seed = 1) =>
    createModel(readConfig({ ...small, ...config })).initialise({ device: on.device, seed });
  const logitsOf = (model: ReturnType<typeof made>): Promise<Float32Array> =>
    scope(async () => {
      const x = tensor(Int32Array.from(tokens), [1, tokens.length], { device: on.device });
      return (
        await (model as unknown as { logits(x: unknown): { data(): Promise<Float32Array> } }).logits(x).data()
      ).slice();
    });

  test.each(['f16', 'bf16'] as const)(
    '%s: matrices in 16 bits are the rounded ones, in half the memory',
    async (dtype) => {
      for (const config of [{}, { tied: true }, { feedForward: { name: 'mixtral', options: { experts: 2 } } }]) {
        const [model, rounded] = [made(config), made(config)];
        const matrices = [...model.namedParameters()].filter(([, { spec }]) => spec.narrows === true);
        for (const [name, parameter] of matrices) {
          const data = Float32Array.from(await parameter.value.data(), storedAs[dtype]);
          const next = tensor(data, parameter.spec.shape, { device: on.device });
          rounded.namedParameters().get(name)!.set(next);
          next.dispose();
        }
        const size = matrices.reduce((sum, [, { value }]) => sum + value.size, 0);
        const whole = on.device.ledger.live('parameter');
        model.store(dtype);
        expect(on.device.ledger.live('parameter')).toBe(whole - 2 * size);
        // sums of 16-bit matrices are those of the numbers they stand for, in the same order
        expectSameBits('logits', await logitsOf(model), await logitsOf(rounded));
        expect(() => model.learnedTensors()).toThrow(OptionError);
        // what is loaded is stored so too, and back in f32 it is what was rounded
        model.load(rounded.stateDict()).store('f32');
        for (const [name] of matrices) {
          const [a, b] = [model, rounded].map((one) => one.namedParameters().get(name)!.value.data());
          expectSameBits(name, await a!, await b!);
        }
        expect(model.learnedTensors().size).toBe(rounded.learnedTensors().size);
        for (const one of [model, rounded]) one.dispose();
      }
    },
  );

  // with seeds at which no key or value lies so near the middle of two bf16 that the error of float32 decides
  const caches: readonly (readonly [options: Partial<SessionOptions>, seed: number])[] = [
    [{}, 1],
    [{ cache: 'ring', window: 6 }, 1],
    [{ cache: 'ring', window: 2 }, 2],
  ];
  test.each(caches)(
    '%j: a cache of 16 bits rounds keys and values, and goes on from an export',
    async (options, seed) => {
      const model = made({ position: 'alibi' }, seed);
      const open = (cacheDtype: 'f32' | 'bf16') => openSession(model, { maxLength: 40, cacheDtype, ...options });
      const [full, half] = [open('f32'), open('bf16')];
      const stepOf = async (session: typeof full, next: readonly number[]): Promise<Float32Array> => {
        const logits = session.step([...next]);
        const data = (await logits.data()).slice() as Float32Array;
        logits.dispose();
        return data;
      };
      let other: typeof full | undefined;
      const [got, last]: number[][] = [[], []];
      const steps = [[3, 1, 4], [1], [5], [9], [2, 6], [5], [3], [5], [8]];
      for (const next of steps) {
        const [a, b] = [await stepOf(full, next), await stepOf(half, next)];
        expect(b).not.toEqual(a);
        got!.push(...b);
        last!.push(half.length - 1);
        if (other) expectSameBits('imported', await stepOf(other, next), b);
        else if (half.length === 5) {
          other = open('bf16');
          const state = await half.export();
          await other.import(state);
          for (const x of state.tensors.values()) x.dispose();
        }
      }
      // keys and values rounded before anything reads them, in float64 and in plain float32
      const numbers = await numbersOf(model);
      const { window } = options;
      const seen =
        window === undefined ? {} : { mechanism: { name: 'sliding-window', options: { radius: window - 1 } } };
      const { exact, budget } = exactly((g) => {
        const oracle = new ModelOracle(
          g,
          { ...(model as Transformer).config, ...seen },
          parametersOf(g, model, numbers),
        );
        oracle.cacheDtype = 'bf16';
        return g.gatherRows(oracle.logitsAt(oracle.hidden(steps.flat())), last!);
      });
      expectClose('logits', got!, exact, { budget });
      for (const one of [full, half, other!, model]) one.dispose();
    },
  );

  test('what computes with its cache in f32 refuses another', () => {
    const model = made({ mechanism: 'linear-transformer' });
    expect(() => openSession(model, { maxLength: 40, cacheDtype: 'f16' })).toThrow(CapabilityError);
    model.dispose();
  });
});
