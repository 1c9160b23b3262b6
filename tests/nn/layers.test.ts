// of nn/{activation,embedding,linear,norm,rows}

import { describe, expect, test } from 'vitest';
import {
  Embedding,
  LayerNorm,
  Linear,
  Module,
  RmsNorm,
  activate,
  activations,
  gate,
  type ActivationName,
} from '../../src/nn/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { double } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { centralDifferences } from '../support/gradient.js';
import { exact } from '../support/operation.js';
import { uniform } from '../support/random.js';
import { checkModule } from './check.js';
import { activated, affine, formulas, normalised } from './formulas.js';

/** Two inputs in one, so that the gate is a module too. */
class Halves extends Module {
  readonly a = this.child('a', new Linear(6, 9, { bias: false }));
  readonly b = this.child('b', new Linear(6, 9));
}

const names = Object.keys(activations) as ActivationName[];

test.each(names)("%s: the formula's derivative is its slope", (name) => {
  const [f, slope] = formulas[name];
  const x = uniform(1, 40, -3, 3);
  const [differences] = centralDifferences(
    (y) => y.map((value) => f(value, exact, 0, 0)),
    [x],
    new Float64Array(40).fill(1),
  );
  // differences are good to about 1e-10 of the values
  expectClose(
    name,
    Float64Array.from(x, (value) => slope(value, exact, 0, 0)),
    differences!,
    { budget: 1e-8 },
  );
});

onEveryDevice((on) => {
  test('linear: with a bias, without, and with an activation', async () => {
    const { device } = on;
    await checkModule(device, {
      name: 'linear',
      module: new Linear(13, 7),
      shape: [2, 5, 13],
      run: (linear, x) => linear.forward(x),
      oracle: (g, x, p) => affine(g, x, p('weight'), p('bias')),
    });
    await checkModule(device, {
      name: 'linear without bias',
      module: new Linear(4, 3, { bias: false }),
      shape: [4],
      run: (linear, x) => linear.forward(x),
      oracle: (g, x, p) => affine(g, x, p('weight')),
    });
    await checkModule(device, {
      name: 'linear with activation',
      module: new Linear(5, 6),
      shape: [3, 5],
      run: (linear, x) => linear.forward(x, activations.silu),
      oracle: (g, x, p) => activated(g, 'silu', affine(g, x, p('weight'), p('bias'))),
    });
  });

  test('norms', async () => {
    await checkModule(on.device, {
      name: 'layer norm',
      module: new LayerNorm(11),
      shape: [2, 3, 11],
      run: (norm, x) => norm.forward(x),
      oracle: (g, x, p) => g.add(g.mul(normalised(g, x, true), p('weight')), p('bias')),
    });
    await checkModule(on.device, {
      name: 'layer norm without bias',
      module: new LayerNorm(8, { bias: false, epsilon: 0.1 }),
      shape: [3, 8],
      run: (norm, x) => norm.forward(x),
      oracle: (g, x, p) => g.mul(normalised(g, x, true, 0.1), p('weight')),
    });
    await checkModule(on.device, {
      name: 'rms norm',
      module: new RmsNorm(11),
      shape: [6, 11],
      run: (norm, x) => norm.forward(x),
      oracle: (g, x, p) => g.mul(normalised(g, x, false), p('weight')),
    });
  });

  test.each(names)('%s: alone, and as a gate', async (name) => {
    await checkModule(on.device, {
      name,
      module: new Halves(),
      shape: [4, 6],
      run: ({ a, b }, x) => gate(activate(a.forward(x), name), b.forward(x), name),
      oracle: (g, x, p) =>
        g.mul(
          activated(g, name, activated(g, name, affine(g, x, p('a.weight')))),
          affine(g, x, p('b.weight'), p('b.bias')),
        ),
    });
  });

  test('tied embedding: tokens in, logits out, both add to the gradient of one table', async () => {
    const { device } = on;
    const tokens = Int32Array.of(3, 0, 3, 1);
    await checkModule(device, {
      name: 'tied embedding',
      module: new Embedding(5, 7),
      shape: [2, 2, 7],
      run: (table, x) =>
        scope(() => {
          const rows = table.forward(tensor(tokens, [2, 2], { device }));
          return table.logits(activate(gate(x, rows, 'relu'), 'silu'));
        }),
      oracle: (g, x, p) => {
        const both = g.mul(activated(g, 'relu', x), g.gatherRows(p('weight'), tokens));
        return g.matmulT(activated(g, 'silu', both), p('weight'));
      },
    });
  });
});

onEveryDevice((on) => {
  describe('refusals', () => {
    test('name the module, the rule and the shapes', () => {
      const { device } = on;
      scope(() => {
        const x = tensor([1, 2, 3, 4], [2, 2], { device });
        expect(() => new Halves().a.forward(x)).toThrow('Linear a: x must be [...,6]; got [2,2].');
        expect(() => new Embedding(4, 3).logits(x)).toThrow('Embedding: x must be [...,3]; got [2,2].');
        expect(() => new Linear(2, 2, { bias: false }).forward(x)).toThrow(
          'parameter weight: has no value; call initialise or load',
        );
        expect(() => activate(x, 'gelo' as never)).toThrow('unknown activation "gelo" (did you mean "gelu"?)');
        expect(() => activate(x, 'toString' as never)).toThrow('unknown activation');
        expect(() => new Linear(0, 2)).toThrow('Linear');
        expect(() => new Linear(2, 2, { biass: true } as never)).toThrow('did you mean "bias"');
        const table = new Embedding(2, 2).initialise({ device, seed: 1 });
        expect(() => table.forward(tensor(Int32Array.of(2), [1], { device }))).toThrow('2');
        table.dispose();
      });
    });

    test('a parameter takes f32 of its shape, and disposes the one before', async () => {
      const { device } = on;
      const linear = new Linear(2, 2, { bias: false }).initialise({ device, seed: 1 });
      const before: Tensor = linear.weight.value;
      const [next, narrow, wide] = [
        tensor([1, 2, 3, 4], [2, 2], { device }),
        tensor([1, 2, 3, 4], [2, 2], { device, dtype: 'f16' }),
        tensor([1, 2], [2], { device }),
      ];
      expect(() => linear.weight.set(narrow)).toThrow('takes f32; got f16');
      expect(() => linear.weight.set(wide)).toThrow('takes a tensor [2,2]; got [2]');
      expect(before.disposed).toBe(false);
      linear.weight.set(next);
      expect([before.disposed, next.disposed]).toEqual([true, false]);
      expect(linear.weight.value.requiresGradient).toBe(true);
      const out = scope(() => {
        const x = tensor([1, 1], [1, 2], { device });
        const y = linear.forward(x);
        return [y, ...gradients([y], [linear.weight.value], [tensor([1, 1], [1, 2], { device })])];
      });
      const g = new Graph(double);
      expectClose(
        'forward',
        await out[0]!.data(),
        g.matmul(g.constant([1, 1], 1, 2), g.constant([1, 2, 3, 4], 2, 2)).data,
      );
      expect([...(await out[1]!.data())]).toEqual([1, 1, 1, 1]);
      disposeAll([out, next, narrow, wide]);
      linear.dispose();
    });
  });
});
