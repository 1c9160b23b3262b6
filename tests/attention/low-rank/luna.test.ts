// of attention/low-rank/packed

import { expect, test } from 'vitest';
import { luna } from '../../../src/attention/low-rank/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/luna.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

const excuse = 'weights of hidden pairs are zeros in a plain product';

gate(luna, {
  oracle: oracles.luna,
  options: [{ memory: 5 }, { memory: 1 }],
  // causal sums of weights depend on the keys
  weights: 'positive',
  nanSpreads: { future: excuse },
  draw: (next) => ({ memory: 1 + Math.floor(9 * next()) }),
  refused: [{ shape: { D: 200, E: 100 } }],
});

onEveryDevice((on) => {
  const [n, D] = [19, 4];
  const rows = (seed: number): Float32Array => normal(seed, n * D);
  const run = async (
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    memory = 3,
    causal = false,
  ): Promise<Float32Array> => {
    const out = scope(() => {
      const [a, b, c] = [q, k, v].map((x) => tensor(x, [1, 1, n, D], { device: on.device })) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return luna.run(a, b, c, { memory, causal, seed: 3 }).out;
    });
    const numbers = (await out.data()) as Float32Array;
    disposeAll(out);
    return numbers;
  };

  test('weights sum to 1, one row of memory gives equal rows, and tokens that change places change places', async () => {
    const [q, k, v] = [rows(1), rows(2), rows(3)];
    expectClose('ones', await run(q, k, new Float32Array(n * D).fill(1)), new Float32Array(n * D).fill(1), {
      budget: 2 ** -20,
    });
    const equal = await run(q, k, v, 1);
    for (let i = 0; i < n; i++) expect([...equal.subarray(i * D, (i + 1) * D)]).toEqual([...equal.subarray(0, D)]);
    const moved = (x: Float32Array): Float32Array =>
      x.map((_, at) => x[((Math.floor(at / D) * 7) % n) * D + (at % D)]!);
    const plain = await run(q, k, v);
    expectClose('moved', await run(moved(q), moved(k), moved(v)), moved(plain), { budget: 2 ** -19 });
  });

  test('causal keys of 0 have one share each, so that outputs are means of the values so far', async () => {
    const v = rows(3);
    const out = await run(rows(1), new Float32Array(n * D), v, 3, true);
    const sums = new Float64Array(D);
    const means = Float64Array.from(v, (x, at) => (sums[at % D]! += x) / (1 + Math.floor(at / D)));
    expectClose('means', out, means, { budget: 2 ** -20 });
  });
});
