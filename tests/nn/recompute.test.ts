import { expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import {
  checkpointed,
  Dropout,
  Linear,
  Module,
  ModuleList,
  recompute,
  type CheckpointedLayer,
} from '../../src/nn/index.js';
import { add, map, matmul } from '../../src/ops/index.js';
import { variable } from '../../src/codegen/expression/index.js';
import { decided, disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const [rows, features] = [7, 12];

/** dropout(x·weight + bias), and a table that other layers read too. */
class Half extends Module {
  readonly linear = this.child('linear', new Linear(features, features));
  readonly dropout = this.child('dropout', new Dropout(0.5));

  forward(x: Tensor, table: Tensor): Tensor {
    return scope(() => add(x, this.dropout.forward(this.linear.forward(matmul(x, table)))));
  }
}

class Table extends Module {
  readonly weights = this.child('weights', new Linear(features, features, { bias: false }));
}

class Root extends Module {
  readonly table = this.child('table', new Table());
  readonly layers = this.child('layers', new ModuleList(Array.from({ length: 7 }, () => new Half())));
}

onEveryDevice((on) => {
  const numbers = (seed: number, extents: readonly number[], requiresGradient = false): Tensor =>
    tensor(
      uniform(
        seed,
        extents.reduce((a, b) => a * b),
      ),
      extents,
      { device: on.device, requiresGradient },
    );
  type Stack = (root: Root, x: Tensor, given: Tensor) => Tensor;

  /** The value and the gradients of x, what is given, and all parameters. */
  const resultsOf = async (stack: Stack, disturb: (root: Root) => void = () => undefined): Promise<Float32Array[]> => {
    const root = new Root().initialise({ device: on.device, seed: 2 }).train({ seed: 1, step: 3 });
    const results = scope(() => {
      const [x, given] = [numbers(1, [rows, features], true), numbers(2, [features, features], true)];
      const y = stack(root, x, given);
      const parameters = [...root.namedParameters().values()].map(({ value }) => value);
      disturb(root);
      return [y, ...gradients([y], [x, given, ...parameters], [numbers(3, [rows, features])])];
    });
    const data = (await Promise.all(results.map((one) => one.data()))) as Float32Array[];
    disposeAll(results);
    root.dispose();
    return data;
  };
  const expectEqual = (who: string, got: readonly Float32Array[], want: readonly Float32Array[]): void =>
    want.forEach((one, i) => expectSameBits(`${who} ${i}`, got[i]!, one));

  const two = (root: Root, x: Tensor, given: Tensor): Tensor =>
    scope(() => {
      const first = root.layers.items[0]!.forward(x, root.table.weights.weight.value);
      return root.layers.items[1]!.forward(first, given);
    });

  test('several modules: each gets its gradients, whichever way it is named', async () => {
    const want = await resultsOf(two);
    const ways: ((root: Root) => Module | readonly Module[])[] = [
      (root) => root,
      (root) => [root.table, root.layers],
      ({ layers: { items }, table }) => [items[0]!, table, items[1]!],
      (root) => [root.layers.items[1]!, root, root.table.weights, root],
    ];
    for (const [i, modules] of ways.entries()) {
      const again: Stack = (root, x, given) => recompute(modules(root), (a, b) => [two(root, a, b)], [x, given])[0]!;
      expectEqual(`way ${i}`, await resultsOf(again), want);
      // the step of the call, whatever it is since; and all modules are as before
      const disturbed = await resultsOf(again, (root) => root.train({ seed: 1, step: 4 }));
      expectEqual(`way ${i}, disturbed`, disturbed, want);
    }
  });

  test('afterwards every module has its own parameters and steps again', () => {
    const root = new Root().initialise({ device: on.device, seed: 2 }).train({ seed: 1, step: 3 });
    const before = root.stateDict();
    root.table.eval();
    scope(() => {
      const x = numbers(1, [rows, features], true);
      const [y] = recompute([root.layers, root, root.table], (a) => [two(root, a, numbers(2, [12, 12]))], [x]);
      gradients([y!], [x], [x]);
    });
    expect([...root.stateDict()].every(([name, value]) => before.get(name) === value)).toBe(true);
    expect(root.table.weights.training).toBeUndefined();
    expect(root.layers.items[3]!.training).toEqual({ seed: 1, step: 3 });
    root.dispose();
  });

  /** All layers, each with the table for even numbers and what is given for odd ones. */
  const layersOf = ({ table, layers }: Root): CheckpointedLayer[] =>
    layers.items.map((layer, i) => ({
      modules: [layer, table],
      forward: (x, given) => layer.forward(x, i % 2 === 0 ? table.weights.weight.value : given),
    }));

  test.each([1, 2, 3, 6, 7, 50])('in groups of %i: values and gradients of the plain stack', async (every) => {
    const plain: Stack = (root, x, given) =>
      scope(() => layersOf(root).reduce((y, { forward }) => forward(y, given), x));
    const grouped: Stack = (root, x, given) => checkpointed(layersOf(root), every, x, [given]);
    const [got, want] = [await resultsOf(grouped), await resultsOf(plain)];
    want.forEach((one, i) => {
      // the table (3) and what is given (2) are read by all layers: their sums are added up group by group
      if (i !== 2 && i !== 3) return expectSameBits(`result ${i}`, got[i]!, one);
      const largest = one.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expectClose(`result ${i}`, got[i]!, one, { budget: 2 * 7 * 2 ** -24 * largest });
    });
  });

  test('only the last group is not computed again, and nothing is decided twice', () => {
    for (const [every, runs] of [
      [1, 9],
      [2, 9],
      [3, 8],
      [5, 5],
    ] as const) {
      let [ran, made] = [0, 0];
      const product = variable('x0', 'f32').mul(variable('x1', 'f32'));
      const layers = Array.from({ length: 5 }, () => ({
        modules: [],
        forward: (x: Tensor): Tensor => {
          ran++;
          return scope(() => map(product, x, decided(() => [tensor([++made], [1], { device: on.device })])[0]!));
        },
      }));
      scope(() => {
        const x = numbers(1, [rows], true);
        gradients([checkpointed(layers, every, x)], [x], [x]);
      });
      expect([every, ran, made]).toEqual([every, runs, 5]);
    }
  });

  test('no layers, layers that are the identity, and refusals', async () => {
    const identity = { modules: [], forward: (x: Tensor) => x };
    const x = numbers(1, [rows], true);
    expect(checkpointed([], 2, x)).toBe(x);
    for (const every of [1, 2, 3]) {
      const results = scope(() => gradients([checkpointed([identity, identity, identity], every, x)], [x], [x]));
      expectSameBits('dx', await results[0]!.data(), await x.data());
      disposeAll(results);
    }
    for (const every of [0, 1.5, NaN]) expect(() => checkpointed([identity], every, x)).toThrow(OptionError);
    x.dispose();
  });
});
