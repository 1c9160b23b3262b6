// of attention/kernel-methods/{cost,lost}

import { describe, expect, test } from 'vitest';
import { performer } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph } from '../../oracles/graph.js';
import * as oracles from '../../oracles/kernels.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { readSafetensors } from '../../support/safetensors.js';
import { tinyBudget, tinyProblem, tinyRows } from './tiny.js';

gate(performer, {
  oracle: oracles.performer,
  options: [{}, { numFeatures: 11, features: 'hyperbolic', orthogonal: false }, { features: 'relu' }],
});

const last = [-0.061571, -0.194893, -0.280499];
const cases = [
  [false, [-0.134417, -0.270511, -0.340374]],
  [true, [0.14112, -0.350783, -0.756802]],
] as const;

const stored = (name: string) =>
  readSafetensors(new URL(`../../fixtures/performer/${name}.safetensors`, import.meta.url));

onEveryDevice((on) => {
  test.each(cases)('six tokens and a given projection, causal %s', async (causal, first) => {
    const rows = await tinyRows(
      scope(() => {
        const projection = tensor(
          Array.from({ length: 32 }, (_, i) => 1.4 * Math.sin(1.7 * i + 0.3)),
          [8, 4],
          {
            device: on.device,
          },
        );
        return performer.run(...tinyProblem(on.device), { causal, numFeatures: 8, parameters: { projection } }).out;
      }),
    );
    expectClose('row 0', rows[0], first, { budget: tinyBudget });
    expectClose('row 5', rows[1], last, { budget: tinyBudget });
  });

  test('ReLU features are those of another implementation (performer-pytorch)', async () => {
    const { device } = on;
    const golden = stored('relu');
    const out = scope(() => {
      const [q, k, v, projection] = ['in.q', 'in.k', 'in.v', 'param.projection'].map((name) =>
        tensor(Float32Array.from(golden[name]!.data), golden[name]!.shape, { device }),
      ) as [ReturnType<typeof tensor>, ...ReturnType<typeof tensor>[]];
      return performer.run(q, k!, v!, { features: 'relu', numFeatures: 16, parameters: { projection: projection! } })
        .out;
    });
    // theirs is float32 too, so both may be off
    const want = golden['out.o']!.data;
    const plain = goldenOutput(single, golden);
    expectClose('theirs and the formula', want, goldenOutput(double, golden), { budget: plain });
    expectClose('ours and theirs', await out.data(), want, {
      budget: 2 * budgetOf(goldenOutput(double, golden), plain),
    });
    disposeAll(out);
  });

  test('what an unlike key does to the range does not reach earlier rows, and no row is lost', async () => {
    const { device } = on;
    const n = 40;
    const k = normal(2, n * 16);
    // the last key is 30 times as long as the others
    for (let c = 0; c < 16; c++) k[(n - 1) * 16 + c]! *= 30;
    const data = [normal(1, n * 16), k, new Float32Array(n * 16).fill(1)];
    for (const causal of [false, true]) {
      const out = scope(() => {
        const [q, keys, v] = data.map((x) => tensor(x, [1, 1, n, 16], { device })) as [
          ReturnType<typeof tensor>,
          ReturnType<typeof tensor>,
          ReturnType<typeof tensor>,
        ];
        return performer.run(q, keys, v, { causal }).out;
      });
      // values of 1: weights sum to 1 in every row
      for (const x of await out.data()) expect(x).toBeCloseTo(1, 5);
      out.dispose();
    }
  });
});

/** The formula on the golden inputs, two batch rows of three heads. */
function goldenOutput(arithmetic: typeof double, golden: ReturnType<typeof stored>): Float64Array {
  const [n, d] = [20, 8];
  const out: number[] = [];
  for (let head = 0; head < 6; head++) {
    const g = new Graph(arithmetic);
    const part = (name: string) => g.input(golden[name]!.data.subarray(head * n * d, (head + 1) * n * d), n, d);
    const projection = g.input(golden['param.projection']!.data, 16, d);
    const features = (name: string) =>
      oracles.performerFeatures(g, g.scale(part(name), d ** -0.25), projection, 'relu');
    const v = part('in.v');
    const [q, k] = [features('in.q'), features('in.k')];
    const p = { L: n, S: n, allowed: () => true, v: () => v };
    out.push(...oracles.weighted(g, p, [0, head], { q, k }).data);
  }
  return Float64Array.from(out);
}

describe('the features of another implementation', () => {
  test('are the formula, stabilised and with 1e-4 added', () => {
    const golden = stored('features');
    const [n, d, M] = [20, 8, 16];
    const features = (arithmetic: typeof double, which: 'q' | 'k', head: number): number[] => {
      const g = new Graph(arithmetic);
      const r = arithmetic.round;
      const x = g.scale(
        g.input(golden[`in.${which}`]!.data.subarray(head * n * d, (head + 1) * n * d), n, d),
        d ** -0.25,
      );
      const projection = g.input(golden['param.projection']!.data, M, d);
      const projected = g.matmulT(x, projection);
      const tops = Array.from({ length: n }, (_, i) => Math.max(...projected.data.subarray(i * M, (i + 1) * M)));
      const φ = oracles.performerFeatures(g, x, projection, 'positive');
      return Array.from(φ.data, (y, at) => {
        const top = which === 'q' ? tops[Math.floor(at / M)]! : Math.max(...tops);
        return r(r(r(y * r(Math.exp(-top))) + 1e-4) / Math.sqrt(M));
      });
    };
    for (const which of ['q', 'k'] as const) {
      for (let head = 0; head < 6; head++) {
        const want = golden[`out.phi_${which}`]!.data.subarray(head * n * M, (head + 1) * n * M);
        expectClose(`φ(${which})`, want, features(double, which, head), { budget: features(single, which, head) });
      }
    }
  });
});
