// of nn/{block,kind,layer}
// of nn/mixers/{decoder,define,fnet,heads}

import { expect, test } from 'vitest';
import { constantOf, drawn, synthesizer } from '../../src/attention/index.js';
import { Attention, defineMixer, type MixerSizes } from '../../src/nn/index.js';
import { mixer, mixers, registerMixer } from '../../src/nn/mixers/registry.js';
import { mean, mul } from '../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { fill } from './check.js';

const sizes: MixerSizes = { features: 4, heads: 2, headDim: 2, length: 6, causal: false };
const definition = {
  name: 'doubled',
  summary: 'Twice as much.',
  paper: { authors: 'Nobody', title: 'None', year: 2026 },
  formula: '2x',
  options: {},
  supports: { causal: true, padding: false },
  forward: ({ x }: { readonly x: Tensor }) => mul(x, 2),
} as const;

onEveryDevice((on) => {
  const x = (rows = 6): Tensor => tensor(uniform(1, 2 * rows * 4), [2, rows, 4], { device: on.device });

  test('fnet is the real part of the transform over rows and features', async () => {
    const out = scope(() => mixer('fnet').create(sizes).forward(x(), {}));
    const [given, got] = [uniform(1, 48), await (out as { stream: Tensor }).stream.data()];
    const want = Float64Array.from({ length: 48 }, (_, at) => {
      const [b, j, f] = [Math.floor(at / 24), Math.floor(at / 4) % 6, at % 4];
      let sum = 0;
      for (let i = 0; i < 6; i++) {
        for (let e = 0; e < 4; e++) {
          sum += given[24 * b + 4 * i + e]! * Math.cos(2 * Math.PI * ((i * j) / 6 + (e * f) / 4));
        }
      }
      return sum;
    });
    expectClose('out', got, want, { budget: 2 * 24 * 2 ** -24 * Math.max(...want.map(Math.abs)) });
    disposeAll(out);
  });

  test.each([
    [{}, ['query']],
    [{ logits: 'random' }, []],
    [{ logits: 'factorised', rank: 2, mixture: 'sum' }, ['query', 'key']],
  ] as const)('synthesizer %j is attention by the mechanism, without what no logit reads', async (options, further) => {
    const mixing = mixer('synthesizer').create({ ...sizes, causal: true }, options);
    const own = fill(mixing, on.device, 3);
    const names = ['logits', 'projection', 'left', 'right'].filter((name) => own.has(name));
    expect([...own.keys()].sort()).toEqual(['value', 'out', ...further, ...names].sort());
    const attention = new Attention(4, {
      heads: 2,
      causal: true,
      mechanism: synthesizer,
      settings: options,
      length: 6,
    });
    const state = new Map(fill(attention, on.device, 9));
    // columns of the one projection: queries, keys, values
    const columns = ['query', 'key', 'value'].map((name) => own.get(name));
    const merged = state
      .get('qkv.weight')!
      .map((old, at) => columns[Math.floor((at % 12) / 4)]?.[4 * Math.floor(at / 12) + (at % 4)] ?? old);
    state.set('qkv.weight', merged).set('out.weight', own.get('out')!);
    for (const name of names) state.set(name, own.get(name)!);
    const [got, want] = scope(() => {
      const shapes = new Map([...attention.stateDict()].map(([name, { shape }]) => [name, shape]));
      attention.load(
        new Map([...state].map(([name, data]) => [name, tensor(data, shapes.get(name), { device: on.device })])),
      );
      return [(mixing.forward(x(), {}) as { stream: Tensor }).stream, attention.forward(x()).stream] as const;
    });
    expectClose('out', await got.data(), await want.data(), { budget: 2 ** -20 });
    disposeAll([got, want]);
    mixing.dispose();
    attention.dispose();
  });

  // what reads latents, as many as there are, does not say
  const priced = mixers.filter(({ definition }) => definition.cost !== undefined);
  test.each(priced.map((kind) => [kind.name, kind] as const))(
    '%s: the multiply-adds are those it says',
    (name, kind) => {
      const own = { ...sizes, causal: kind.definition.recurrence !== undefined };
      const mixing = kind.create(own).initialise({ device: on.device, seed: 1 });
      const { counters } = on.device;
      // of steps of a recurrence beyond its positions, which are not of the formula
      counters.wastedMultiplyAdds = 0;
      const used = (): number => counters.multiplyAdds - counters.wastedMultiplyAdds!;
      const rows = typeof mixing.restores === 'number' ? mixing.restores : sizes.length;
      const before = used();
      const out = scope(() => mixing.forward(x(rows), mixing.restores === undefined ? {} : { earlier: x() }));
      expect(used() - before, name).toBe(2 * kind.cost(own)!.multiplyAdds);
      delete counters.wastedMultiplyAdds;
      disposeAll(out);
      mixing.dispose();
    },
  );

  test('gives losses, a state, and the next values of what is drawn; parameters that are learned are not its to change', async () => {
    const talkative = (updates: (rows: Tensor) => Record<string, Tensor>) =>
      defineMixer({
        ...definition,
        parameters: () => ({
          centre: drawn([4], constantOf(1)),
          scale: { ...drawn([1], constantOf(3)), learned: true },
        }),
        forward: ({ x: rows, parameters, state, losses }) => ({
          stream: mul(rows, parameters.scale),
          ...(losses && { losses: { size: mean(rows) } }),
          state: { last: state['last'] ?? rows },
          updates: updates(rows),
        }),
      })
        .create(sizes)
        .initialise({ device: on.device, seed: 1 });
    const mixing = talkative((rows) => ({ centre: mean(rows, { axes: [0, 1] }) }));
    const out = scope(() => mixing.forward(x(), { losses: true })) as Exclude<
      ReturnType<typeof mixing.forward>,
      Tensor
    >;
    expect(Object.keys(out.losses!)).toEqual(['size']);
    expect(Object.keys(out.state!)).toEqual(['last']);
    expect([...out.updates!.keys()].map((one) => one.path())).toEqual(['centre']);
    const quiet = scope(() => mixing.forward(x(), {})) as typeof out;
    expect(quiet.losses).toBeUndefined();
    disposeAll([out, quiet]);
    const wrong = talkative((rows) => ({ scale: mean(rows) }));
    expect(() => scope(() => wrong.forward(x(), {}))).toThrow(
      'doubled: updates are of its drawn parameters; got scale.',
    );
    mixing.dispose();
    wrong.dispose();
  });

  test('refuses another width, padding it does not know, and rows that are not those it says', () => {
    const doubled = defineMixer(definition).create(sizes);
    const halved = defineMixer({ ...definition, resize: (rows) => rows / 2 }).create(sizes);
    scope(() => {
      expect(() => doubled.forward(tensor([1, 2], [1, 1, 2], { device: on.device }), {})).toThrow(
        'x must be [B,L,4]; got [1,1,2]',
      );
      expect(() => doubled.forward(x(), { lengths: [6, 3] })).toThrow(
        'doubled: takes no padding; give sequences of one length.',
      );
      disposeAll(doubled.forward(x(), { lengths: [6, 6] }));
      expect(() => halved.forward(x(), {})).toThrow('doubled: must give [2,3,4]; gave [2,6,4].');
    });
  });
});

test('what a mixer costs is checked, and undefined where it does not say', () => {
  expect(defineMixer(definition).cost(sizes)).toBeUndefined();
  const wrong = defineMixer({ ...definition, cost: () => ({ multiplyAdds: NaN }) });
  expect(() => wrong.cost(sizes)).toThrow('doubled: its cost must return { multiplyAdds, pairs? }');
  expect(() => defineMixer({ ...definition, resize: () => 1, restores: () => 1 })).toThrow(
    'resize and restores exclude each other',
  );
});

test('a definition is whole, and a name is taken once', () => {
  expect(() => defineMixer({ ...definition, summary: 3 } as never)).toThrow('defineMixer: summary must be');
  expect(() => defineMixer({ ...definition, supports: { causal: true } } as never)).toThrow('padding is missing');
  expect(() => mixer('fnett')).toThrow('unknown mixer "fnett" (did you mean "fnet"?)');
  expect(() => mixer('fnet').create({ ...sizes, causal: true })).toThrow(
    'fnet: has no causal form; take it for an encoder.',
  );
  expect(() => mixer('synthesizer').create(sizes, { rnak: 3 })).toThrow('did you mean "rank"');
  const own = defineMixer(definition);
  const forget = registerMixer(own);
  expect(mixer('doubled')).toBe(own);
  expect(() => registerMixer(defineMixer(definition))).toThrow('there is a mixer "doubled" already');
  expect(() => registerMixer({} as never)).toThrow('takes what defineMixer returns');
  forget();
  expect(() => mixer('doubled')).toThrow('unknown mixer "doubled"');
});
