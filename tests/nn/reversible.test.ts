// of nn/{moment,residual}

import { expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { Linear, Module, ModuleList, recompute, reversible, type ReversibleLayer } from '../../src/nn/index.js';
import { cast, map, matmul, mul, silu } from '../../src/ops/index.js';
import {
  decided,
  disposeAll,
  gradients,
  keep,
  noGradient,
  scope,
  share,
  tensor,
  zeros,
  type Tensor,
} from '../../src/tensor/index.js';
import { variable } from '../../src/codegen/expression/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph, type Matrix } from '../oracles/graph.js';
import { budgetOf, expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { centralDifferences } from '../support/gradient.js';
import { uniform } from '../support/random.js';
import { fill } from './check.js';
import { activated, affine } from './formulas.js';
import { expectNear, largest, Layer, layersOf, plainly } from './two-streams.js';

/** Orders of summation whose largest error is the budget. */
const ORDERS = 6;

onEveryDevice((on) => {
  const random = (seed: number, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(
      uniform(
        seed,
        shape.reduce((a, b) => a * b),
      ),
      shape,
      { device: on.device, requiresGradient },
    );

  interface Run {
    readonly layers: readonly ReversibleLayer[];
    readonly shape: readonly number[];
    /** Whose parameters are asked for. */
    readonly root?: Module;
    readonly given?: readonly Tensor[];
    /** Between the passes. */
    readonly disturb?: () => void;
  }

  /** y1, y2, and the gradients of x1, x2, what is given and the parameters, for random cotangents. */
  const resultsOf = async (
    stack: typeof plainly,
    { layers, shape, root, given = [], disturb }: Run,
  ): Promise<Float32Array[]> => {
    const tensors = scope(() => {
      const [x1, x2] = [random(1, shape, true), random(2, shape, true)];
      const parameters = root ? [...root.namedParameters().values()].map(({ value }) => value) : [];
      const ys = stack(layers, x1, x2, given);
      disturb?.();
      const ds = [random(3, shape), random(4, shape)];
      return [...ys, ...gradients([...ys], [x1, x2, ...given, ...parameters], ds)];
    });
    const data = (await Promise.all(tensors.map((one) => one.data()))) as Float32Array[];
    disposeAll(tensors);
    return data;
  };

  /** Two products of their own, one for each branch. */
  class Small extends Module {
    readonly inF = this.child('inF', new Linear(5, 5));
    readonly inG = this.child('inG', new Linear(5, 5));
    readonly layer: ReversibleLayer = {
      modules: [this],
      f: (x) => scope(() => silu(this.inF.forward(x))),
      g: (x) => scope(() => silu(this.inG.forward(x))),
    };
  }

  test('values and gradients against central differences in float64; a layer that comes twice', async () => {
    const root = new ModuleList([new Small(), new Small()]);
    const numbers = [...fill(root, on.device, 20)];
    const order = [0, 1, 0];
    const inputs = [uniform(1, 20), uniform(2, 20), ...numbers.map(([, data]) => data)];
    const shapes = [[4, 5], [4, 5], ...numbers.map(([, data]) => [data.length / 5, 5])] as [number, number][];

    const through = (g: Graph, [x1, x2, ...rest]: Matrix[]): [Matrix, Matrix] => {
      const at = (name: string): Matrix => rest[numbers.findIndex(([one]) => one === name)]!;
      const branch = (name: string, x: Matrix): Matrix =>
        activated(g, 'silu', affine(g, x, at(`${name}.weight`), at(`${name}.bias`)));
      let [a, b] = [x1!, x2!];
      for (const i of order) {
        a = g.add(a, branch(`${i}.inF`, b));
        b = g.add(b, branch(`${i}.inG`, a));
      }
      return [a, b];
    };
    const matrices = (g: Graph, data: readonly Numbers[]): Matrix[] =>
      data.map((one, i) => g.input(one, ...shapes[i]!));
    const exact = new Graph(double);
    const values = through(exact, matrices(exact, inputs)).map(({ data }) => data);
    const ds = [uniform(3, 20), uniform(4, 20)];
    const differences = centralDifferences(
      (...data) => {
        const g = new Graph(double);
        return through(g, matrices(g, data)).flatMap((y) => [...y.data]);
      },
      inputs,
      ds.flatMap((d) => [...d]),
    );
    const want = [...values, ...differences];
    const plain = Array.from({ length: ORDERS }, (_, at) => {
      const g = new Graph(single, at);
      const leaves = matrices(g, inputs);
      const ys = through(g, leaves);
      return [...ys.map(({ data }) => data), ...g.gradients(ys, ds, leaves)];
    });
    const run = { layers: order.map((i) => root.items[i]!.layer), shape: [4, 5], root };
    const got = await resultsOf(reversible, run);
    want.forEach((one, i) => {
      // streams that are known again up to rounding: the errors of another plain pass come on top
      const budget = 2 * Math.max(...plain.map((numbers) => budgetOf(one, numbers[i])));
      expectClose(`result ${i}`, got[i]!, one, { budget });
    });
    root.dispose();
  });

  const deep = (rate = 0, depth = 12): { root: ModuleList<Layer>; layers: ReversibleLayer[] } => {
    const root = new ModuleList(Array.from({ length: depth }, () => new Layer({ features: 64, rate })))
      .initialise({ device: on.device, seed: 3 })
      .train({ seed: 1, step: 5 });
    return { root, layers: layersOf(root.items) };
  };
  const shape = [2, 9, 64];

  test('12 layers of attention and feed-forward, with dropout: the gradients of the plain formula', async () => {
    const { root, layers } = deep(0.5);
    const [got, want] = [
      await resultsOf(reversible, { layers, shape, root }),
      await resultsOf(plainly, { layers, shape, root }),
    ];
    for (const i of [0, 1]) expectSameBits(`y${i + 1}`, got[i]!, want[i]!);
    expectNear('gradient', got, want, 1e-5);
    root.dispose();
  });

  test('the inverse of 12 layers is the input to rounding', async () => {
    const { root, layers } = deep();
    const seen: Tensor[] = [];
    const spy =
      (branch: (x: Tensor) => Tensor) =>
      (x: Tensor): Tensor => {
        seen.push(keep(share(x)));
        return branch(x);
      };
    const spied = layers.map(({ modules, f, g }) => ({ modules, f: spy(f), g: spy(g) }));
    await resultsOf(reversible, { layers: spied, shape });
    const data = await Promise.all(seen.map((x) => x.data()));
    expect(data).toHaveLength(48);
    for (let i = 0; i < 24; i++) {
      const [forward, back] = [data[i]!, data[47 - i]!];
      expectClose(`what half ${i} reads`, back, forward, { budget: 1e-6 * largest(data[23]!) });
    }
    disposeAll(seen);
    root.dispose();
  });

  test('the backward pass sees the step and the parameters of the forward pass', async () => {
    const run = async (disturb: (root: Module) => void): Promise<Float32Array[]> => {
      const { root, layers } = deep(0.5);
      const results = await resultsOf(reversible, { layers, shape, disturb: () => disturb(root) });
      root.dispose();
      return results;
    };
    const want = await run(() => undefined);
    for (const disturb of [
      (root: Module) => root.eval(),
      (root: Module) => root.train({ seed: 1, step: 6 }),
      (root: Module) => root.initialise({ device: on.device, seed: 4 }),
    ]) {
      const got = await run(disturb);
      want.forEach((one, i) => expectSameBits(`result ${i}`, got[i]!, one));
    }
  });

  test.each(fewNatively(on.kind, ['f16', 'bf16'] as const, 1))(
    'streams stay f32 where branches give %s',
    async (dtype) => {
      const { root, layers } = deep(0.25, 4);
      const narrow = layers.map(({ modules, f, g }) => ({
        modules,
        f: (x: Tensor) => scope(() => cast(f(x), dtype)),
        g: (x: Tensor) => scope(() => cast(g(x), dtype)),
      }));
      // what both streams would be if they were stored as the branches are
      const stored: typeof plainly = (own, x1, x2) =>
        scope(() => {
          let ys: readonly [Tensor, Tensor] = [x1, x2];
          for (const layer of own)
            ys = plainly([layer], ...ys).map((y) => cast(cast(y, dtype), 'f32')) as [Tensor, Tensor];
          return ys;
        });
      const [got, plain, wide, rough] = [
        await resultsOf(reversible, { layers: narrow, shape, root }),
        await resultsOf(plainly, { layers: narrow, shape, root }),
        await resultsOf(plainly, { layers, shape, root }),
        await resultsOf(stored, { layers: narrow, shape, root }),
      ];
      for (const i of [0, 1]) expectSameBits(`y${i + 1}`, got[i]!, plain[i]!);
      // a stream that is off by rounding may round a branch the other way: it is known to 16 bits
      wide.forEach((one, i) => expectClose(`gradient ${i}`, got[i]!, one, { budget: rough[i]! }));
      root.dispose();
    },
  );

  test('what is given to all layers gets the sum of their gradients', async () => {
    const given = [random(7, [3, 3], true), random(8, [3, 3], true)];
    const layer: ReversibleLayer = {
      modules: [],
      f: (x, a) => matmul(x, a),
      g: (x, a, b) => scope(() => mul(matmul(x, b), matmul(x, a))),
    };
    const run = { layers: [layer, layer], shape: [4, 3], given };
    const [got, want] = [await resultsOf(reversible, run), await resultsOf(plainly, run)];
    expectNear('gradient', got, want, 1e-5);
    disposeAll(given);
  });

  test('one stream used, one that needs no gradient, branches that are constant or the identity, no layers', async () => {
    const layers: ReversibleLayer[] = [
      { modules: [], f: (x) => x, g: (x) => silu(x) },
      { modules: [], f: (x) => silu(x), g: (x) => noGradient(() => mul(x, 2)) },
      { modules: [], f: (x) => noGradient(() => mul(x, 1)), g: (x) => x },
    ];
    for (const used of [0, 1])
      for (const wanted of [0, 1])
        for (const depth of [0, 1, 2, 3]) {
          if (depth === 0 && used !== wanted) continue;
          const results = scope(() => {
            const xs = [random(1, [4, 3], wanted === 0), random(2, [4, 3], wanted === 1)] as const;
            return [reversible, plainly].flatMap((stack) => {
              const y = stack(layers.slice(0, depth), ...xs)[used]!;
              return gradients([depth === 0 ? mul(y, 1) : y], [xs[wanted]!], [random(3, [4, 3])]);
            });
          });
          const [got, want] = await Promise.all(results.map((one) => one.data()));
          expectNear(`y${used} x${wanted} depth ${depth}`, [got!], [want!], 1e-5);
          disposeAll(results);
        }
  });

  test('each branch decides once; in a checkpoint too', async () => {
    let made = 0;
    const jump = map.bind(undefined, variable('x0', 'f32').mul(variable('x1', 'f32')));
    const deciding = (x: Tensor): Tensor =>
      scope(() => {
        // another scale each time: a second call would give other gradients
        const [scale] = decided(() => [tensor([++made / 8], [1], { device: on.device })]);
        return jump(x, scale!);
      });
    const scaled = (factor: number) => (x: Tensor) => mul(x, factor / 8);
    const layers = [0, 1].map(() => ({ modules: [], f: deciding, g: deciding }));
    const frozen = [0, 1].map((i) => ({ modules: [], f: scaled(2 * i + 1), g: scaled(2 * i + 2) }));
    const want = await resultsOf(plainly, { layers: frozen, shape: [4, 3] });
    const inCheckpoint: typeof plainly = (own, x1, x2) =>
      recompute([], (a, b) => reversible(own, a, b), [x1, x2]) as [Tensor, Tensor];
    for (const stack of [reversible, inCheckpoint]) {
      made = 0;
      expectNear('result', await resultsOf(stack, { layers, shape: [4, 3] }), want, 1e-6);
      expect(made).toBe(4);
    }
  });

  test('a parameter that no module names would lose its gradient', () => {
    const { root, layers } = deep(0, 2);
    const [first, second] = layers as [ReversibleLayer, ReversibleLayer];
    const unnamed = [first, { ...second, modules: [root.items[1]!.normF] }];
    scope(() => {
      const x = random(1, [1, 3, 64], true);
      const [y] = reversible(unnamed, x, x);
      expect(() => gradients([y], [x], [x])).toThrow(/reversible: f of layer 1: .* name the module/);
      const [z] = recompute(root.items[0]!, (a) => [layers[1]!.f(a)], [x]);
      expect(() => gradients([z!], [x], [x])).toThrow(/recompute: .* not among its inputs/);
    });
    root.dispose();
  });

  test('refusals', () => {
    const layer = (f: (x: Tensor) => Tensor): ReversibleLayer => ({ modules: [], f, g: (x) => x });
    scope(() => {
      const [x, other, half] = [
        random(1, [4, 3]),
        random(1, [3, 4]),
        zeros([4, 3], { device: on.device, dtype: 'f16' }),
      ];
      expect(() => reversible([], x, other)).toThrow(ShapeError);
      expect(() => reversible([], x, half)).toThrow(OptionError);
      for (const wanted of [x, random(1, [4, 3], true)]) {
        expect(() => reversible([layer(() => other)], wanted, x)).toThrow('f of layer 0 must keep the shape [4,3]');
        expect(() => reversible([layer((y) => cast(y, 'i32'))], wanted, x)).toThrow('must give floats; it gave i32');
      }
    });
  });
});
