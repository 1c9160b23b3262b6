import { expect, test } from 'vitest';
import type { FloatDtype } from '../../src/core/dtype.js';
import {
  Dropout,
  Embedding,
  DenseFeedForward,
  LayerNorm,
  Linear,
  Module,
  RmsNorm,
  type FeedForwardOptions,
} from '../../src/nn/index.js';
import { add, attend, cast, reshape, split, sum, transpose } from '../../src/ops/index.js';
import { rope } from '../../src/positions/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { double } from '../oracles/arithmetic.js';
import type { Graph, Matrix } from '../oracles/graph.js';
import { frequency } from '../oracles/positions.js';
import { storedAs } from '../oracles/storage.js';
import { expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { checkModule, fill } from './check.js';
import { activated, affine, formulas, normalised } from './formulas.js';

const halves = ['f16', 'bf16'] as const;
const feeds = [
  { activation: 'gelu' },
  { activation: 'silu', gated: true },
] as const satisfies readonly FeedForwardOptions[];

interface BlockOptions {
  readonly length: number;
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
  readonly feed: FeedForwardOptions;
  readonly precision: FloatDtype;
}

/** A pre-norm transformer block: the residual stream is f32, and what is inside the branches is stored as `precision`. */
class Block extends Module {
  readonly attendNorm: LayerNorm;
  readonly feedNorm: RmsNorm;
  readonly qkv: Linear;
  readonly out: Linear;
  readonly feedForward: DenseFeedForward;
  readonly dropout: Dropout;

  constructor(readonly options: BlockOptions) {
    super();
    const { width, hidden, feed } = options;
    this.attendNorm = this.child('attendNorm', new LayerNorm(width));
    this.qkv = this.child('qkv', new Linear(width, 3 * width));
    this.out = this.child('out', new Linear(width, width));
    this.feedNorm = this.child('feedNorm', new RmsNorm(width));
    this.feedForward = this.child('feedForward', new DenseFeedForward(width, hidden, feed));
    this.dropout = this.child('dropout', new Dropout(feed.dropout ?? 0));
  }

  forward(x: Tensor): Tensor {
    return scope(() => {
      const mixed = this.#branch(x, (rows) => this.#attend(this.attendNorm.forward(rows)));
      return this.#branch(mixed, (rows) => this.feedForward.forward(this.feedNorm.forward(rows)));
    });
  }

  #branch(x: Tensor, f: (rows: Tensor) => Tensor): Tensor {
    return add(x, this.dropout.forward(f(cast(x, this.options.precision))));
  }

  #attend(x: Tensor): Tensor {
    const { length, width, heads } = this.options;
    const [q, k, v] = split(this.qkv.forward(x), [width, width, width], { axis: -1 }).map((part) =>
      transpose(reshape(part, [1, length, heads, width / heads]), [0, 2, 1, 3]),
    ) as [Tensor, Tensor, Tensor];
    const { out } = attend(rope(q), rope(k), v, { causal: true });
    return this.out.forward(reshape(transpose(out, [0, 2, 1, 3]), [1, length, width]));
  }
}

/**
 * The block's formula. In float64 nothing is rounded; plain float32 code rounds what the block stores, wherever it stores it, and
 * keeps the rounded numbers for the backward pass. Gradients pass a rounding as they are.
 */
function blockOracle(options: BlockOptions, g: Graph, x: Matrix, p: (name: string) => Matrix): Matrix {
  const { length, width, heads, feed, precision } = options;
  const round = g.arithmetic === double ? storedAs.f32 : storedAs[precision];
  const stored = (a: Matrix): Matrix => {
    // in place, so that the tape sees what was stored
    a.data.forEach((value, i) => (a.data[i] = round(value)));
    return a;
  };
  const copy = (a: Matrix): Matrix =>
    g.map(
      a,
      (value) => value,
      () => 1,
    );
  const linear = (name: string, a: Matrix): Matrix =>
    affine(g, a, p(`${name}.weight`), feed.gated && name.startsWith('feed') ? undefined : p(`${name}.bias`));
  const size = width / heads;
  const half = size / 2;
  const constant = (rows: number, f: (i: number, j: number) => number): Matrix =>
    g.constant(
      Float64Array.from({ length: rows * size }, (_, n) => f(Math.floor(n / size), n % size)),
      rows,
      size,
    );
  const angle = (row: number, j: number): number => row * frequency(j % half, size);
  const [cos, sin] = [Math.cos, Math.sin].map((f) => constant(length, (i, j) => f(angle(i, j)))) as [Matrix, Matrix];
  // component j takes minus the one half further, or the one half before
  const partners = constant(size, (i, j) => (i === j + half ? -1 : Number(j === i + half)));
  const turned = (a: Matrix): Matrix => stored(g.add(g.mul(a, cos), g.mul(g.matmul(a, partners), sin)));

  const attended = (rows: Matrix): Matrix => {
    const norm = g.add(g.mul(normalised(g, rows, true), p('attendNorm.weight')), p('attendNorm.bias'));
    const qkv = stored(linear('qkv', stored(norm)));
    const outs = Array.from({ length: heads }, (_, h) => {
      const [q, k, v] = [0, 1, 2].map((part) => {
        const first = part * width + h * size;
        return g.columns(qkv, first, first + size);
      }) as [Matrix, Matrix, Matrix];
      const scores = g.scale(g.matmulT(turned(q), turned(k)), 1 / Math.sqrt(size));
      return stored(
        g.matmul(
          g.softmax(scores, (i, j) => j <= i),
          v,
        ),
      );
    });
    return stored(linear('out', g.concatColumns(outs)));
  };
  const fed = (rows: Matrix): Matrix => {
    const a = stored(g.mul(normalised(g, rows, false), p('feedNorm.weight')));
    const name = feed.activation!;
    const up = linear('feedForward.up', a);
    const hidden = feed.gated
      ? g.mul(activated(g, name, stored(linear('feedForward.gate', a))), stored(up))
      : g.map(up, formulas[name][0], (value, r, i, j) => formulas[name][1](round(value), r, i, j));
    return stored(linear('feedForward.down', stored(hidden)));
  };
  const mixed = g.add(x, attended(stored(copy(x))));
  return g.add(mixed, fed(stored(copy(mixed))));
}

const sizes = { length: 11, width: 8, heads: 2, hidden: 12 };

onEveryDevice((on) => {
  /** Holds a block to the budgets of code that stores as `stored` says. */
  async function check(options: BlockOptions, stored: FloatDtype): Promise<void> {
    const module = new Block(options);
    try {
      await checkModule(on.device, {
        name: `${options.precision} ${options.feed.activation}`,
        module,
        shape: [1, options.length, options.width],
        run: (block, x) => block.forward(x),
        oracle: (g, x, p) => blockOracle({ ...options, precision: stored }, g, x, p),
      });
    } finally {
      module.dispose();
    }
  }

  test.each(fewNatively(on.kind, feeds, 1))(
    'a block in 16 bits, $activation: value and all gradients',
    async (feed) => {
      for (const precision of ['f32', ...halves] as const) await check({ ...sizes, feed, precision }, precision);
      await expect(check({ ...sizes, feed, precision: 'bf16' }, 'f16')).rejects.toThrow('numbers off');
      await expect(check({ ...sizes, feed, precision: 'f16' }, 'f32')).rejects.toThrow('numbers off');
    },
  );

  test.each(feeds)('a block in 16 bits, $activation: keeps at most 0.55 of the bytes', (feed) => {
    const large = { length: 512, width: 256, heads: 4, hidden: 1024, feed: { ...feed, dropout: 0.1 } };
    const kept = (precision: FloatDtype): number => {
      const { device } = on;
      const block = new Block({ ...large, precision }).initialise({ device, seed: 1 }).train({ seed: 1, step: 0 });
      const before = device.ledger.live();
      const total = scope(() => {
        const shape = [1, large.length, large.width];
        const x = tensor(uniform(1, large.length * large.width), shape, { device, requiresGradient: true });
        return sum(block.forward(x));
      });
      const bytes = device.ledger.live() - before;
      total.dispose();
      block.dispose();
      return bytes;
    };
    const whole = kept('f32');
    for (const precision of halves) {
      const share = kept(precision) / whole;
      expect(share).toBeLessThanOrEqual(0.55);
      // not less than half: nothing is missing
      expect(share).toBeGreaterThan(0.5);
    }
  });

  test('layers store as their input is stored, from f32 weights; logits are f32', async () => {
    const { device } = on;
    for (const precision of halves) {
      const modules = [
        new Linear(6, 5),
        new LayerNorm(6),
        new RmsNorm(6),
        new DenseFeedForward(6, 9, { gated: true, chunk: 2 }),
        new Embedding(7, 6),
      ] as const;
      const [linear, , , , embedding] = modules;
      modules.forEach((module, i) => fill(module, device, 10 * i));
      const [outs, logits, again, wide] = scope(() => {
        const x = tensor(uniform(3, 24), [4, 6], { device, dtype: precision });
        const all = modules.slice(0, 4).map((module) => (module as Linear).forward(x));
        const f32 = cast(x, 'f32');
        return [all, embedding.logits(x), cast(linear.forward(f32), precision), embedding.logits(f32)] as const;
      });
      expect(outs.map(({ dtype }) => dtype)).toEqual(outs.map(() => precision));
      expect(logits.dtype).toBe('f32');
      // the weight was not rounded
      expectSameBits('linear', await outs[0]!.data(), await again.data());
      expectSameBits('logits', await logits.data(), await wide.data());
      disposeAll([outs, logits, again, wide]);
      for (const module of modules) module.dispose();
    }
  });
});
