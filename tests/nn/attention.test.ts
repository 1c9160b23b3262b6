// of nn/{attention-checks,attention-options,attention-sinks}

import { expect, test } from 'vitest';
import { flash, performer, slidingWindow } from '../../src/attention/index.js';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { Attention } from '../../src/nn/attention.js';
import type { Outcome } from '../../src/nn/index.js';
import { scope, zeros, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';
import type { Graph, Matrix } from '../oracles/graph.js';
import { checkModule } from './check.js';
import { affine } from './formulas.js';

const [features, heads, kvHeads, headDim, length] = [6, 4, 2, 3, 5];
const own = { features, heads, kvHeads, headDim, length };
const B = 2;

type Rule = (g: Graph, scores: Matrix, h: number) => Matrix;

/** softmax(q·kᵀ/√d, of what `rule` makes of it)·v of every head, side by side, times W_out. */
function attended(g: Graph, x: Matrix, p: (name: string) => Matrix, rule: Rule, bias: boolean): Matrix {
  const b = (name: string): Matrix | undefined => (bias ? p(`${name}.bias`) : undefined);
  const texts = Array.from({ length: B }, (_, text) => {
    const rows = affine(g, g.rows(x, text * length, (text + 1) * length), p('qkv.weight'), b('qkv'));
    const part = (start: number, h: number): Matrix => g.columns(rows, start + h * headDim, start + (h + 1) * headDim);
    const outs = Array.from({ length: heads }, (__, h) => {
      const kv = Math.floor((h * kvHeads) / heads);
      const [k, v] = [heads * headDim, (heads + kvHeads) * headDim].map((start) => part(start, kv)) as [Matrix, Matrix];
      return g.matmul(rule(g, g.scale(g.matmulT(part(0, h), k), 1 / Math.sqrt(headDim)), h), v);
    });
    return affine(g, g.concatColumns(outs), p('out.weight'), b('out'));
  });
  return g.concatRows(texts);
}

const stream = (module: Attention, x: Tensor, context: Parameters<Attention['forward']>[1] = {}): Tensor =>
  (module.forward(x, context) as Outcome & { stream: Tensor }).stream;

onEveryDevice((on) => {
  test.each<[string, ConstructorParameters<typeof Attention>[1], Rule, boolean]>([
    [
      'of all pairs, with biases',
      { ...own, causal: false, mechanism: flash, bias: true },
      (g, scores) => g.softmax(scores),
      true,
    ],
    [
      'in a causal window',
      { ...own, causal: true, mechanism: slidingWindow, settings: { radius: 2 } },
      (g, scores) => g.softmax(scores, (i, j) => j <= i && j >= i - 2),
      false,
    ],
  ])('grouped heads %s', async (name, options, rule, bias) => {
    const { features: _, ...given } = options as typeof options & { features: number };
    await checkModule(on.device, {
      name,
      module: new Attention(features, given),
      shape: [B, length, features],
      run: (module, x) => stream(module, x),
      oracle: (g, x, p) => attended(g, x, p, rule, bias),
    });
  });

  test('sinks: a number of each head is one more term of its sums', async () => {
    const { features: _, ...given } = { ...own, causal: false, mechanism: flash, sinks: true };
    await checkModule(on.device, {
      name: 'sinks',
      module: new Attention(features, given),
      shape: [B, length, features],
      run: (module, x) => stream(module, x),
      oracle: (g, x, p) =>
        attended(
          g,
          x,
          p,
          (_g, scores, h) => {
            const ones = g.constant(new Float64Array(length).fill(1), length, 1);
            const column = g.mul(ones, g.columns(p('sinks'), h, h + 1));
            return g.columns(g.softmax(g.concatColumns([scores, column])), 0, length);
          },
          false,
        ),
    });
  });

  test('refuses other rows, sources of layers that project at once, and gates that are none', () => {
    const { features: _, ...given } = { ...own, causal: false, mechanism: flash };
    const module = new Attention(features, given).initialise({ device: on.device, seed: 1 });
    scope(() => {
      const rows = (n: number, columns = features): Tensor => zeros([1, n, columns], { device: on.device });
      expect(() => module.forward(rows(3, 5))).toThrow(ShapeError);
      expect(() => module.project(rows(3), { source: rows(4) })).toThrow('made with { separate: true }');
      expect(() => module.queries(rows(3))).toThrow('is for attention to other rows');
      const out = zeros([1, heads, 3, headDim], { device: on.device });
      expect(() => module.combine(out, undefined, rows(3, heads * headDim))).toThrow('it has no gate; got [1,3,12]');
    });
    module.dispose();
  });
});

test('refuses sizes with every reason, and parts that do not go together', () => {
  const given = { causal: false, mechanism: flash, length, heads: 4 };
  const make =
    (more: object): (() => Attention) =>
    () =>
      new Attention(features, { ...given, ...more });
  expect(make({ kvHeads: 3 })).toThrow(
    'Attention: headDim must be a whole number of at least 1, by default features / heads; got 1.5; kvHeads must divide heads; got 3 of 4 (features 6).',
  );
  expect(make({ heads: 2, sinks: true, mechanism: performer })).toThrow(/sinks are added to the sum of a softmax/);
  expect(make({ heads: 2, bias: 'kv-out', separate: false })).toThrow(OptionError);
  expect(make({ heads: 2, projection: { kernel: 3 }, kvHeads: 1 })).toThrow(/projection factored is of rows/);
});
