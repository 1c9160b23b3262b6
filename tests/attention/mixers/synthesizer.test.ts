import { test } from 'vitest';
import { synthesizer } from '../../../src/attention/mixers/index.js';
import { disposeAll, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead, type Graph, type Matrix, type OracleProblem } from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Options {
  readonly logits: string;
  readonly mixture: string;
}

/** The synthetic logits of one head. */
function synthetic(g: Graph, p: OracleProblem<Options>, b: number, h: number): Matrix {
  const rows = (name: string): Matrix => g.rows(p.parameter(name, h), 0, p.S);
  if (p.options.logits === 'random') return g.columns(rows('logits'), 0, p.S);
  if (p.options.logits === 'factorised') return g.matmulT(rows('left'), rows('right'));
  const hidden = g.map(
    p.q(b, h),
    (x) => Math.max(0, x),
    (x) => (x > 0 ? 1 : 0),
  );
  return g.matmulT(hidden, rows('projection'));
}

const oracle = perHead<Options>((g, p, b, h) => {
  let logits = synthetic(g, p, b, h);
  if (p.options.mixture !== 'none') {
    const compared = g.scale(g.matmulT(p.q(b, h), p.k(b, h)), p.scale);
    if (p.options.mixture === 'sum') logits = g.add(logits, compared);
    else {
      const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
      const share = g.map(p.parameter('alpha'), sigmoid, (x) => sigmoid(x) * sigmoid(-x));
      const rest = g.map(
        share,
        (x) => 1 - x,
        () => -1,
      );
      logits = g.add(g.mul(logits, share), g.mul(compared, rest));
    }
  }
  return g.matmul(
    g.softmax(logits, (i, j) => p.allowed(b, h, i, j)),
    p.v(b, h),
  );
});

gate(synthesizer, {
  oracle,
  // inner products of few sizes: every size is kernels to compile
  options: [
    {},
    { logits: 'random', maxLength: 140 },
    { logits: 'factorised', rank: 8, fixed: true },
    { logits: 'factorised', rank: 8, mixture: 'alpha' },
  ],
  exactWhen: [
    // logits of 0 leave attention, and a share of 0 for them too
    { options: { logits: 'factorised', rank: 8, mixture: 'sum' }, parameters: (_, __, drawn) => drawn.map(() => 0) },
    {
      options: { mixture: 'alpha' },
      parameters: (name, _, drawn) => (name === 'alpha' ? drawn.map(() => -200) : undefined),
    },
  ],
  refused: [{ options: { maxLength: 16 } }, { options: { mixture: 'sum' }, shape: { D: 129 } }],
  costShapes: [{ B: 2, H: 2, G: 2, L: 130, S: 130, D: 16, E: 16 }],
});

onEveryDevice((on) => {
  test('random logits of 0 give the mean of the past', async () => {
    const { device } = on;
    const [n, E] = [40, 4];
    const [x, v] = [normal(1, n * 8), normal(2, n * E)];
    const [q, values] = [tensor(x, [1, 1, n, 8], { device }), tensor(v, [1, 1, n, E], { device })];
    const logits = tensor(new Float32Array(n * n), [1, n, n], { device });
    const { out } = synthesizer.run(q, q, values, { logits: 'random', causal: true, parameters: { logits } });
    const sums = new Float64Array(E);
    const want = Float64Array.from(v, (value, i) => (sums[i % E]! += value) / (Math.floor(i / E) + 1));
    const plain = new Float32Array(E);
    const single = Float32Array.from(v, (value, i) => (plain[i % E]! += value) / (Math.floor(i / E) + 1));
    expectClose('means', await out.data(), want, { budget: single });
    disposeAll([q, values, logits, out]);
  });
});
