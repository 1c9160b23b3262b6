import { expect, test } from 'vitest';
import { constantOf, drawn } from '../../src/attention/index.js';
import { Linear, Module, ModuleList, type Outcome, type Parameter } from '../../src/nn/index.js';
import { checkpointedOutcome } from '../../src/nn/checkpointed.js';
import { besideOf, outcomeOf } from '../../src/nn/outcome.js';
import { reversibleOutcome } from '../../src/nn/reversible.js';
import { add, mean, mul, square } from '../../src/ops/index.js';
import { disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

/** Gives all a layer can: a loss, a state, and the next value of a parameter that is not learned. */
class Talkative extends Module {
  readonly linear = this.child('linear', new Linear(4, 4));
  readonly centre: Parameter = this.parameter('centre', drawn([4], constantOf(1)));

  forward(x: Tensor, before?: Tensor): Outcome {
    return scope(() => {
      const stream = this.linear.forward(before ? add(x, before) : x);
      return {
        stream,
        losses: { size: mean(square(stream)), centre: mean(mul(stream, this.centre.value)) },
        // both depend on parameters: no gradient may flow through them all the same
        state: { last: stream },
        updates: new Map([[this.centre, mean(stream, { axes: [0] })]]),
      };
    });
  }
}

/** Layers after each other, each with a state. */
type Ways = (layers: readonly Talkative[], x: Tensor, states: readonly Tensor[]) => Outcome;

const placed = (i: number, { state, ...rest }: Outcome): Outcome => ({
  ...rest,
  state: { [`last.${i}`]: state!['last']! },
});

/** What each gave, put together by hand. */
const together = (all: readonly Outcome[]): Outcome => {
  const sum = (name: string): Tensor => all.map(({ losses }) => losses![name]!).reduce((a, b) => add(a, b));
  return {
    stream: all.at(-1)!.stream,
    losses: { size: sum('size'), centre: sum('centre') },
    state: Object.fromEntries(all.flatMap(({ state }) => Object.entries(state!))),
    updates: new Map(all.flatMap(({ updates }) => [...updates!])),
  };
};

const plainly: Ways = (layers, x, states) => {
  let stream = x;
  const all = layers.map((layer, i) => {
    const one = outcomeOf('layer', placed(i, layer.forward(stream, states[i])));
    ({ stream } = one);
    return one;
  });
  return together(all);
};

const inGroups =
  (every: number): Ways =>
  (layers, x, states) =>
    checkpointedOutcome(
      layers.map((layer, i) => ({
        modules: [layer],
        given: [states[i]!],
        forward: (rows: Tensor, before: Tensor) => placed(i, layer.forward(rows, before)),
      })),
      every,
      x,
    );

const twoStreams: Ways = (layers, x, states) => {
  let [a, b] = [x, x];
  const all = layers.map((layer, i) => {
    const one = outcomeOf('layer', placed(i, layer.forward(b, states[i])));
    a = add(a, one.stream);
    b = add(b, mul(a, 0.5));
    return one;
  });
  return { ...together(all), stream: add(a, b) };
};

const reversibly: Ways = (layers, x, states) => {
  const { streams, beside } = reversibleOutcome(
    layers.map((layer, i) => ({
      modules: [layer],
      given: [states[i]!],
      f: (rows: Tensor, before: Tensor) => placed(i, layer.forward(rows, before)),
      g: (rows: Tensor) => mul(rows, 0.5),
    })),
    x,
    x,
  );
  return { ...beside, stream: add(...streams) };
};

onEveryDevice((on) => {
  const random = (seed: number, requiresGradient = false): Tensor =>
    tensor(uniform(seed, 12), [3, 4], { device: on.device, requiresGradient });

  const numbersOf = async (way: Ways) => {
    const root = new ModuleList([new Talkative(), new Talkative(), new Talkative()]);
    root.initialise({ device: on.device, seed: 3 }).train({ seed: 1, step: 1 });
    const found = scope(() => {
      const x = random(1, true);
      const { stream, losses, state, updates } = way(root.items, x, [random(2), random(3), random(4)]);
      const leaves = [x, ...root.learnedTensors().values()];
      expect(Object.keys(losses!).sort()).toEqual(['centre', 'size']);
      expect(Object.keys(state!)).toEqual(['last.0', 'last.1', 'last.2']);
      expect([...updates!.keys()]).toEqual(root.items.map(({ centre }) => centre));
      const silent = [...Object.values(state!), ...updates!.values()];
      expect(silent.map(({ requiresGradient }) => requiresGradient)).toEqual(silent.map(() => false));
      const cotangents = [
        random(5),
        tensor([0.7], [], { device: on.device }),
        tensor([-1.3], [], { device: on.device }),
      ];
      const outputs = [stream, losses!['size']!, losses!['centre']!];
      return [...outputs, ...silent, ...gradients(outputs, leaves, cotangents)];
    });
    const numbers = await Promise.all(found.map((one) => one.data()));
    disposeAll(found);
    root.dispose();
    return numbers;
  };

  test.each([1, 2, 3])(
    'in groups of %i: losses, states, updates and gradients are those of the plain layers',
    async (every) => {
      const [got, want] = [await numbersOf(inGroups(every)), await numbersOf(plainly)];
      want.forEach((one, i) =>
        expectClose(`result ${i}`, got[i]!, one, { budget: 2 ** -22 * Math.max(1, ...one.map(Math.abs)) }),
      );
      want.slice(0, 9).forEach((one, i) => expectSameBits(`result ${i}`, got[i]!, one));
    },
  );

  test('through reversible layers too, the gradients of losses among them', async () => {
    const [got, want] = [await numbersOf(reversibly), await numbersOf(twoStreams)];
    want.forEach((one, i) =>
      expectClose(`result ${i}`, got[i]!, one, { budget: 2 ** -20 * Math.max(1, ...one.map(Math.abs)) }),
    );
  });

  test('a loss alone reaches the parameters of a reversible layer', async () => {
    const root = new ModuleList([new Talkative(), new Talkative()]).initialise({ device: on.device, seed: 3 });
    const found = scope(() => {
      const x = random(1);
      const { losses } = reversibly(root.items, x, [random(2), random(3)]);
      return gradients([losses!['size']!], [...root.learnedTensors().values()]);
    });
    for (const one of await Promise.all(found.map((each) => each.data())))
      expect(one.some((value) => value !== 0)).toBe(true);
    disposeAll(found);
    root.dispose();
  });

  test('nothing is left where no gradient is asked for', () => {
    const root = new ModuleList([new Talkative()]).initialise({ device: on.device, seed: 3 });
    const { ledger } = on.device;
    const before = ledger.live();
    for (const way of [inGroups(1), inGroups(2), reversibly]) {
      disposeAll(scope(() => noGradient(() => way(root.items, random(1), [random(2)]))));
      expect(ledger.live()).toBe(before);
    }
    root.dispose();
  });
});

test('what is no outcome, and two states of one name, are refused', () => {
  const tensor = {} as Tensor;
  expect(() => outcomeOf('f', { stream: tensor })).toThrow('f: must give a tensor');
  expect(besideOf([])).toEqual({});
  expect(() => besideOf([{ state: { last: tensor } }, { state: { last: tensor } }])).toThrow(
    'have state last; rename one',
  );
});
