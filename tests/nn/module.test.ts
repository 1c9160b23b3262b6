// of nn/{list,parameter,state}

import { expect, test } from 'vitest';
import type { Device } from '../../src/devices/index.js';
import { drawn, normalOf } from '../../src/attention/parameters.js';
import { Embedding, LayerNorm, Linear, Module, type Parameter } from '../../src/nn/index.js';
import { add, sum } from '../../src/ops/index.js';
import { recompute, disposeAll, gradients, keep, scope, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

class Block extends Module {
  readonly norm = this.child('norm', new LayerNorm(4));
  readonly out = this.child('out', new Linear(4, 4));
}

class Model extends Module {
  readonly planes: Parameter;
  readonly table = this.child('table', new Embedding(6, 4));
  readonly layers: readonly Block[];

  constructor(depth: number) {
    super();
    this.planes = this.parameter('planes', drawn([2, 4], normalOf()));
    this.layers = Array.from({ length: depth }, (_, i) => this.child(`layer-${i}`, new Block()));
  }
}

async function numbers(module: Module): Promise<Record<string, number[]>> {
  const all: Record<string, number[]> = {};
  for (const [name, value] of module.stateDict()) all[name] = [...(await value.data())];
  return all;
}

onEveryDevice((on) => {
  const model = (depth: number, seed = 1, device: Device = on.device): Model =>
    new Model(depth).initialise({ device, seed });

  test('dotted names in the order of naming; paths are from the root, names from where one asks', () => {
    const root = new Model(1);
    expect([...root.namedParameters().keys()]).toEqual([
      'planes',
      'table.weight',
      'layer-0.norm.weight',
      'layer-0.norm.bias',
      'layer-0.out.weight',
      'layer-0.out.bias',
    ]);
    expect([...root.layers[0]!.namedParameters().keys()][0]).toBe('norm.weight');
    expect(root.layers[0]!.norm.weight.path()).toBe('layer-0.norm.weight');
    expect([root.path, root.layers[0]!.norm.path]).toEqual(['', 'layer-0.norm']);
  });

  test('equal seeds give equal bits; another seed, other names other numbers', async () => {
    const models = [model(2), model(2), model(2, 2)];
    const [a, b, c] = await Promise.all(models.map(numbers));
    expect(b).toEqual(a);
    expect(c!['table.weight']).not.toEqual(a!['table.weight']);
    expect(a!['layer-0.out.weight']).not.toEqual(a!['layer-1.out.weight']);
    expect(a!['layer-0.norm.weight']).toEqual([1, 1, 1, 1]);
    expect(a!['layer-0.norm.bias']).toEqual([0, 0, 0, 0]);
    models.forEach((one) => one.dispose());
  });

  test('a layer more leaves the others as they were, and a part is drawn as in the whole', async () => {
    const [small, large] = [model(1), model(3)];
    const [few, many] = await Promise.all([small, large].map(numbers));
    expect(many).toMatchObject(few!);
    const before = await numbers(small);
    small.layers[0]!.initialise({ device: on.device, seed: 1 });
    expect(await numbers(small)).toEqual(before);
    [small, large].forEach((one) => one.dispose());
  });

  test('weights of a linear layer have variance 1/in, those of a table 0.02²', async () => {
    class Wide extends Module {
      readonly linear = this.child('linear', new Linear(64, 256));
      readonly table = this.child('table', new Embedding(64, 256));
    }
    const wide = new Wide().initialise({ device: on.device, seed: 3 });
    const state = await numbers(wide);
    const variance = (x: number[]): number => x.reduce((sum, value) => sum + value * value, 0) / x.length;
    // 16384 squares of normal numbers: their mean is off by √(2/16384) = 1.1 %; five times that is once in a million
    expect(Math.abs(variance(state['linear.weight']!) * 64 - 1)).toBeLessThan(0.055);
    expect(Math.abs(variance(state['table.weight']!) / 0.02 ** 2 - 1)).toBeLessThan(0.055);
    wide.dispose();
  });

  test('parameters belong to no scope, are counted as parameters, and learned ones are leaves', () => {
    const { device } = on;
    const made = scope(() => keep([model(1)])[0]!);
    const bytes = 4 * (2 * 4 + 6 * 4 + 4 + 4 + 16 + 4);
    expect(device.ledger.live('parameter')).toBe(bytes);
    expect(device.ledger.live()).toBe(bytes);
    expect(made.planes.value.requiresGradient).toBe(false);
    expect(made.table.weight.value.requiresGradient).toBe(true);
    made.initialise({ device, seed: 2 });
    expect(device.ledger.live()).toBe(bytes);
    made.dispose();
    expect(device.ledger.live()).toBe(0);
  });

  test('a state goes round, to a model without values too; 16-bit floats are widened', async () => {
    const [source, target, narrow] = [model(2), new Model(2), new Model(2)];
    target.load(source.stateDict());
    const want = await numbers(source);
    const half = [...source.namedParameters()].map(([name, { spec }]): [string, Tensor] => [
      name,
      tensor(want[name]!, spec.shape, { device: on.device, dtype: 'bf16' }),
    ]);
    narrow.load(new Map(half));
    const rounded = await Promise.all(half.map(async ([name, value]) => [name, [...(await value.data())]] as const));
    disposeAll(half);
    source.dispose();
    // copies: the source is gone
    expect(await numbers(target)).toEqual(want);
    expect(await numbers(narrow)).toEqual(Object.fromEntries(rounded));
    expect(narrow.table.weight.value.dtype).toBe('f32');
    expect(on.device.ledger.live('parameter')).toBe(on.device.ledger.live());
    [target, narrow].forEach((one) => one.dispose());
  });

  test('a state that does not fit: every reason in one error, and nothing changes', async () => {
    const { device } = on;
    const [source, target] = [model(1), model(1, 2)];
    const before = await numbers(target);
    const state = source.stateDict();
    const wrong = new Map([...state].filter(([name]) => name !== 'planes' && name !== 'layer-0.out.bias'));
    const others = {
      'layer-0.out.bais': zeros([4], { device }),
      extra: zeros([2, 3], { device }),
      'layer-0.norm.bias': zeros([5], { device }),
      'layer-0.norm.weight': zeros([4], { device, dtype: 'i32' }),
    };
    for (const [name, value] of Object.entries(others)) wrong.set(name, value);
    expect(() => target.load(wrong)).toThrow(
      'model: 6 tensors do not fit: missing planes [2,4]; missing layer-0.out.bias [4]; ' +
        'unexpected layer-0.out.bais [4] (did you mean "layer-0.out.bias"?); unexpected extra [2,3]; ' +
        'layer-0.norm.weight must be of floats, not i32; layer-0.norm.bias must be [4], not [5]. Nothing was changed;',
    );
    expect(await numbers(target)).toEqual(before);
    expect(() => new Model(1).stateDict()).toThrow('parameter planes: has no value');
    disposeAll(others);
    [source, target].forEach((one) => one.dispose());
  });

  test('learned tensors are those that training changes; errors name the parameter', () => {
    const root = model(1);
    const learned = root.learnedTensors();
    expect([...learned.keys()]).toEqual([...root.stateDict().keys()].filter((name) => name !== 'planes'));
    const of = (leaves: Iterable<Tensor>): void =>
      scope(() => {
        gradients([sum(root.table.weight.value)], [...leaves]);
      });
    of(learned.values());
    expect(() => of(root.stateDict().values())).toThrow(
      'gradients: input 0, parameter planes f32[2,4], does not require gradients; create it with { requiresGradient: true }, or, ' +
        'of a module, take learnedTensors().',
    );
    // what a parameter held before another tensor came into its place
    const before = root.layers[0]!.out.weight.value;
    root.initialise({ device: on.device, seed: 2 });
    expect(() => of([before])).toThrow('parameter layer-0.out.weight f32[4,4] was disposed');
    expect(() => add(before, 1)).toThrow('parameter layer-0.out.weight f32[4,4] was disposed');
    // computed again, a function would lose the gradient of what it was not given
    const lost = (): void =>
      scope(() => {
        const bias = root.layers[0]!.norm.bias!.value;
        const x = zeros([4], { device: on.device, requiresGradient: true });
        const [y] = recompute((...given) => [add(given[0]!, bias)], [x]);
        gradients([sum(y!)], [x]);
      });
    expect(lost).toThrow('depends on parameter layer-0.norm.bias [4]');
    root.dispose();
  });

  test('train and eval reach every module', () => {
    const root = new Model(2);
    const steps = (): unknown[] => [...new Set(root.modules().map(({ training }) => training?.step))];
    expect(steps()).toEqual([undefined]);
    root.train({ seed: 1, step: 7 });
    expect(steps()).toEqual([7]);
    expect(root.layers[0]!.eval().norm.training).toBe(undefined);
    expect(root.layers[1]!.norm.training).toEqual({ seed: 1, step: 7 });
    expect(() => root.train({ seed: -1, step: 0 })).toThrow('seed must be');
    expect(() => root.train({ seed: 1, step: 0.5 })).toThrow('step must be');
    root.eval();
    expect(steps()).toEqual([undefined]);
  });

  test('names: no dots, none twice, and no module in two places', () => {
    class Named extends Module {
      constructor(names: readonly string[]) {
        super();
        for (const name of names) this.child(name, new Linear(1, 1));
      }
    }
    class Shared extends Module {
      constructor(linear: Linear) {
        super();
        this.child('first', linear);
        this.child('second', linear);
      }
    }
    expect(() => new Named(['a.b'])).toThrow('module root: the name "a.b" must be letters, digits, _ and -.');
    expect(() => new Named(['a', 'a'])).toThrow('module root: the name "a" is already taken.');
    expect(() => new Shared(new Linear(1, 1))).toThrow('module second: is already first; a shared layer is named once');
  });
});
