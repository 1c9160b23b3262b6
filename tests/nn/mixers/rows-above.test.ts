import { expect, test } from 'vitest';
import { rowsAbove } from '../../../src/nn/mixers/rows-above.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import type { Graph, Matrix } from '../../oracles/graph.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { fill } from '../check.js';
import { checkRealRows, sizes, streamOf } from './check.js';

const image = { ...sizes, features: 6, heads: 2, headDim: 3, causal: true };

/** Attention of two heads to the pixels that `sees` allows. */
function attended(
  g: Graph,
  x: Matrix,
  [w, out]: readonly [Matrix, Matrix],
  sees: (i: number, j: number) => boolean,
): Matrix {
  const qkv = g.matmul(x, w);
  const heads = [0, 1].map((h) => {
    const [q, k, v] = [0, 1, 2].map((part) => g.columns(qkv, 6 * part + 3 * h, 6 * part + 3 * h + 3));
    return g.matmul(g.softmax(g.scale(g.matmulT(q!, k!), 3 ** -0.5), sees), v!);
  });
  return g.matmul(g.concatColumns(heads), out);
}

/** Pixels of rows of three. */
function above(g: Graph, x: Matrix, p: (name: string) => Matrix): Matrix {
  const [row, column] = [(i: number) => Math.floor(i / 3), (i: number) => i % 3];
  const rows = attended(g, x, [p('rows'), p('rowsOut')], (i, j) => row(i) === row(j));
  const held = attended(
    g,
    g.add(x, rows),
    [p('columns'), p('columnsOut')],
    (i, j) => column(i) === column(j) && row(j) <= row(i),
  );
  const top = g.input(new Array<number>(6 * Math.min(3, x.rows)).fill(0), Math.min(3, x.rows), 6);
  return x.rows <= 3 ? top : g.concatRows([top, g.rows(held, 0, x.rows - 3)]);
}

onEveryDevice((on) => {
  test('all pixels of the rows above, by the formula, padded or not', async () => {
    await checkRealRows(on.device, rowsAbove, { width: 3 }, above, { ...image, rows: [8, 5, 4] });
  });

  test('a pixel changes all those below its row, and none of its row or above', async () => {
    const run = async (data: Float32Array): Promise<Float32Array> => {
      const module = rowsAbove.create({ ...image, length: 9 }, { width: 3 });
      fill(module, on.device, 3);
      const out = scope(() => streamOf(module, tensor(data, [1, 9, 6], { device: on.device })));
      const numbers = (await out.data()) as Float32Array;
      out.dispose();
      module.dispose();
      return numbers;
    };
    const x = uniform(5, 54);
    for (const pixel of [0, 2, 4]) {
      const changed = await run(x.map((value, at) => (Math.floor(at / 6) === pixel ? value + 1 : value)));
      const whole = await run(x);
      const below = 3 * (Math.floor(pixel / 3) + 1);
      expectSameBits('not below', changed.subarray(0, 6 * below), whole.subarray(0, 6 * below));
      for (let i = below; i < 9; i++)
        expect(changed.subarray(6 * i, 6 * i + 6)).not.toEqual(whole.subarray(6 * i, 6 * i + 6));
    }
  });
});
