import { afterAll, describe, expect, test } from 'vitest';
import {
  defineAttention,
  longformer,
  mechanism,
  mechanisms,
  registerMechanism,
  type AnyOptions,
  type Call,
  type Decoder,
  type Mechanism,
} from '../../src/attention/index.js';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import {
  createModel,
  EncoderDecoder,
  openSession,
  readConfig,
  type TokenBatch,
  type Transformer,
} from '../../src/models/index.js';
import { disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { fill, resultsOf } from '../nn/check.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { normal, uniform } from '../support/random.js';

const withInputs = mechanisms.filter(({ definition }) => definition.inputs !== undefined);

const forgets: (() => void)[] = [];
afterAll(() => forgets.forEach((forget) => forget()));

/** The same mechanism with the values themselves in place of its gate. */
function ofValues({ definition }: Mechanism): object {
  const { inputs: _, forward, recurrence, ...rest } = definition;
  const gated = (call: Call): Call => ({ ...call, inputs: { gate: call.v } });
  const twin = defineAttention({
    ...rest,
    name: `${definition.name}-of-values`,
    forward: (call) => forward!(gated(call)),
    recurrence: { step: (call, state, start) => recurrence!.step(gated(call), state, start) },
  });
  forgets.push(registerMechanism(twin));
  return { name: twin.name };
}

/** Options under which the further projections are read, by mechanism; a new one of the kind needs an entry. */
const telling: Readonly<Record<string, AnyOptions>> = {
  longformer: { radius: 2, globals: [0, 1] },
  delta: {},
  'gated-delta': {},
  'gated-linear': {},
};
/** The same pairs by a mechanism that has q, k and v alone. */
const twins: Readonly<Record<string, object>> = {
  longformer: { name: 'global-tokens', options: { numGlobals: 2, radius: 2 } },
  ...Object.fromEntries(['delta', 'gated-delta', 'gated-linear'].map((name) => [name, ofValues(mechanism(name))])),
};

const length = 11;
const base = { vocabulary: 13, length, layers: 2, width: 16, heads: 4, kvHeads: 2 };
const tokens = Int32Array.from(uniform(8, 2 * length), (x) => Math.floor(6.5 * (x + 1)));

const configs: readonly (readonly [what: string, config: object])[] = [
  ['rope', { position: 'rope' }],
  ['rope with scaling', { position: { method: 'rope', scaling: { type: 'linear', factor: 3 } } }],
  ['alibi', { position: 'alibi' }],
  ['t5', { position: 't5' }],
  ['learned', { position: 'learned' }],
  ['no positions', { position: 'none', bias: true }],
  ['reversible layers', { residual: 'reversible' }],
  ['checkpointed layers', { residual: { kind: 'checkpointed', every: 1 } }],
];

/** A model whose further projections are those of q, k and v: it then is its twin's. */
function pair(device: Device, { name }: Mechanism, config: object): readonly [Transformer, Transformer] {
  const make = (own: object): Transformer =>
    createModel(readConfig({ ...base, ...config, mechanism: own })) as Transformer;
  const [model, twin] = [make({ name, options: telling[name] }), make(twins[name]!)];
  const numbers = fill(twin, device, 3);
  const { heads, kvHeads, headDim } = model.config;
  const columns = { q: [0, heads], k: [heads, kvHeads], v: [heads + kvHeads, kvHeads] } as const;
  const width = (heads + 2 * kvHeads) * headDim;
  const ofName = (path: string): Float32Array => {
    const [, layer, projection, rest] = /^(.*\.attention)\.(\w+)(\.\w+)$/.exec(path) ?? [];
    const of = projection === undefined ? undefined : mechanism(name).definition.inputs?.[projection];
    if (of === undefined) return numbers.get(path)!;
    const [from, count] = columns[of].map((many) => many * headDim) as [number, number];
    return numbers.get(`${layer}.qkv${rest}`)!.filter((_, i) => i % width >= from && i % width < from + count);
  };
  scope(() => {
    const all = [...model.namedParameters()].map(
      ([path, { spec }]) => [path, tensor(ofName(path), spec.shape, { device })] as const,
    );
    model.load(new Map(all));
  });
  return [model, twin];
}

describe('what a mechanism takes beside q, k and v goes where they go', () => {
  test('every mechanism of the kind is among the cases', () => {
    const names = withInputs.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    expect(Object.keys(telling)).toEqual(names);
    expect(Object.keys(twins)).toEqual(names);
  });

  onEveryDevice((on) => {
    const cases = withInputs.flatMap((one) =>
      configs
        .filter(([what]) => one.definition.supports.score || (what !== 'alibi' && what !== 't5'))
        .map(([what, config]) => [`${one.name}, ${what}`, one, config] as const),
    );

    test.each(fewNatively(on.kind, cases, 1))(
      '%s: a whole text, its gradients, and a session',
      async (_, one, config) => {
        const { device } = on;
        const [model, twin] = pair(device, one, config);
        const logits = async (of: Transformer): Promise<Float32Array> => {
          const out = noGradient(() => scope(() => of.logits(tensor(tokens, [2, length], { device }))));
          const numbers = (await out.data()) as Float32Array;
          out.dispose();
          return numbers;
        };
        const [got, want] = [await logits(model), await logits(twin)];
        const budget = 2e-5 * Math.max(...want.map(Math.abs));
        expectClose('logits', got, want, { budget });

        const gradient = async (of: Transformer): Promise<Record<string, ArrayLike<number>>> =>
          resultsOf(device, of, () => of.loss(batch(device)).loss, { x: [0], shape: [1], d: [1] });
        const [dmodel, dtwin] = [await gradient(model), await gradient(twin)];
        for (const name of ['ends.embedding.weight', 'stack.layers.0.attention.out.weight']) {
          const most = Math.max(...Array.from(dtwin[name]!, Math.abs));
          expectClose(`d ${name}`, dmodel[name]!, dtwin[name]!, { budget: 1e-4 * most });
        }
        // projections of their own, token by token
        fill(model, device, 5);
        const whole = await logits(model);
        const most = Math.max(...whole.map(Math.abs));
        const session = openSession(model, { maxLength: length });
        for (let at = 0; at < length;) {
          const end = Math.min(length, at + [1, 3][at % 2]!);
          const row = session.step(tokens.subarray(at, end));
          const expected = whole.slice((end - 1) * 13, end * 13);
          expectClose(`token ${end}`, await row.data(), expected, { budget: 2e-5 * most });
          row.dispose();
          at = end;
        }
        session.dispose();
        model.dispose();
        twin.dispose();
      },
    );

    test('layers that are computed again give the same bits', async () => {
      const { device } = on;
      for (const one of on.kind === 'native' ? [] : withInputs) {
        const of = async (residual: object | string): Promise<Record<string, ArrayLike<number>>> => {
          const own = { name: one.name, options: telling[one.name] };
          const model = createModel(readConfig({ ...base, layers: 3, residual, mechanism: own })) as Transformer;
          fill(model, device, 4);
          const found = await resultsOf(device, model, () => model.loss(batch(device)).loss, {
            x: [0],
            shape: [1],
            d: [1],
          });
          model.dispose();
          return found;
        };
        const [plain, again] = [await of('plain'), await of({ kind: 'checkpointed', every: 1 })];
        for (const [name, want] of Object.entries(plain)) {
          if (name !== 'dx') expectSameBits(`${one.name} ${name}`, again[name]!, want);
        }
      }
    });

    test('a decoder takes them with each step, the same ones as in the first', () => {
      scope(() => {
        const { device } = on;
        const make = (heads: number, rows = 1): Tensor =>
          tensor(normal(2, heads * rows * 4), [1, heads, rows, 4], { device });
        const inputs = (rows = 1): Record<string, Tensor> => ({
          globalQ: make(4, rows),
          globalK: make(2, rows),
          globalV: make(2, rows),
        });
        const step = (decoder: Decoder, own?: Readonly<Record<string, Tensor>>) => (): unknown =>
          decoder.step(make(4), make(2), make(2), { ...(own && { inputs: own }) });
        const one = longformer.decoder({ maxLength: 8 });
        expect(step(one, { globalQ: make(2) })).toThrow(ShapeError);
        expect(step(one, { global: make(2) })).toThrow('unknown inputs "global"');
        step(one, inputs())();
        expect(step(one)).toThrow(ShapeError);
        expect(step(one)).toThrow('globalQ=[1,4,T,4], globalK=[1,2,T,4] and globalV=[1,2,T,4], as the first one');
        expect(step(one, inputs(2))).toThrow('globalQ=[1,4,2,4]');
        expect(step(one, { ...inputs(), more: make(1) })).toThrow('more=[1,1,1,4]');
        expect(step(one, { ...inputs(), globalK: 3 as never })).toThrow('globalK must be a tensor');
        expect(() => one.step(make(4), make(2), make(2), { input: inputs() } as never)).toThrow(
          'did you mean "inputs"',
        );
        expect(one.length).toBe(1);
        step(one, inputs())();
        expect(one.length).toBe(2);
        one.dispose();
        // k and v of some alone: the others stand in
        const some = longformer.decoder({ maxLength: 8 });
        step(some, { globalK: make(2) })();
        step(some, { globalK: make(2) })();
        expect(step(some, inputs())).toThrow(ShapeError);
        some.dispose();
        expect(() => longformer.decoder({ maxLength: 8, inputs: inputs() })).toThrow(OptionError);
        expect(() => longformer.decoder({ maxLength: 8, inputs: inputs() })).toThrow(
          'decoder.step(q, k, v, { inputs })',
        );
        expect(() => mechanism('flash').decoder({ maxLength: 8, inputs: inputs() })).toThrow('it has no inputs');
      });
    });
  });
});

describe('without global tokens', () => {
  onEveryDevice((on) => {
    const made = (name: string, options: object): Transformer => {
      const config = readConfig({ ...base, kind: 'encoder', mechanism: { name, options } });
      return createModel(config).initialise({ device: on.device, seed: 5 }) as Transformer;
    };
    const counted = async (model: Transformer, more: object = {}): Promise<readonly [number, Float32Array]> => {
      const { device } = on;
      const before = device.counters.multiplyAdds;
      const logits = scope(() => noGradient(() => model.logits(batch(device).tokens, more)));
      const taken = device.counters.multiplyAdds - before;
      const data = (await logits.data()) as Float32Array;
      logits.dispose();
      return [taken, data];
    };

    test('a Longformer layer projects nothing for them, is a window, and trains', async () => {
      const [local, window] = [made('longformer', { radius: 2, globals: [] }), made('sliding-window', { radius: 2 })];
      window.load(new Map([...local.stateDict()].filter(([name]) => !name.includes('.global'))));
      const [[own, logits], [others, expected]] = [await counted(local), await counted(window)];
      expect(own).toBe(others);
      expectSameBits('logits', logits, expected);
      // nor where a call has lists without any; one token of one row is enough to have them
      expect((await counted(local, { globalTokens: [[], []] }))[0]).toBe(own);
      expect((await counted(local, { globalTokens: [[], [3]] }))[0]).toBeGreaterThan(own);
      const learned = local.learnedTensors();
      const found = scope(() => gradients([local.loss(batch(on.device)).loss], [...learned.values()]));
      const name = [...learned.keys()].findIndex((one) => one.endsWith('globalK.weight'));
      expect([...(await found[name]!.data())].every((x) => x === 0)).toBe(true);
      disposeAll(found);
      for (const one of [local, window]) one.dispose();
    });
  });
});

test('where they cannot go they are refused', () => {
  for (const { name } of withInputs.filter(({ definition }) => definition.supports.score)) {
    const own = { name, options: telling[name] };
    expect(() => createModel(readConfig({ ...base, position: 'transformer-xl', mechanism: own }))).toThrow(OptionError);
    expect(() => createModel(readConfig({ ...base, position: 'transformer-xl', mechanism: own }))).toThrow(
      'no projections but q, k and v',
    );
    const cross = new EncoderDecoder(
      readConfig({ ...base, kind: 'encoder-decoder', position: 'rope', mechanism: own }),
    );
    expect([...cross.namedParameters().keys()].filter((key) => key.includes('cross.global'))).toEqual([]);
  }
});

function batch(device: Device): TokenBatch {
  const shifted = tokens.map((_, i) => tokens[(i + 1) % tokens.length]!);
  const [x, y] = [tokens, shifted].map((data) => tensor(data, [2, length], { device })) as [Tensor, Tensor];
  return { tokens: x, targets: y };
}
