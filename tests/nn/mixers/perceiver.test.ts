// of nn/mixers/{perceiver-output,perceiver-parts}

import { expect, test } from 'vitest';
import { perceiver } from '../../../src/nn/mixers/perceiver.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import type { Graph, Matrix } from '../../oracles/graph.js';
import { lastAsk, latentsAsk } from '../../oracles/latents.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkModule, fill } from '../check.js';
import { checkRealRows, sizes, streamOf } from './check.js';
import { slice } from '../../../src/ops/index.js';

const two = { ...sizes, features: 6, heads: 2, headDim: 3 };
// keys and values of other sizes
const options = { latents: 4, keyDim: 2, valueDim: 5 };

const lastRows = (g: Graph, x: Matrix, stream: Matrix, p: (name: string) => Matrix): Matrix =>
  lastAsk(g, x, stream, p, 4);

onEveryDevice((on) => {
  test('learned latents attend to all real rows', async () => {
    const formula = (g: Graph, x: Matrix, p: (name: string) => Matrix): Matrix => latentsAsk(g, x, p, 4);
    await checkRealRows(on.device, perceiver, options, formula, two);
  });

  test('causal: the last real rows see rows up to themselves', async () => {
    const causal = { ...two, causal: true, rows: [7, 4, 1] };
    await checkRealRows(on.device, perceiver, options, (g, x, p) => lastRows(g, x, x, p), causal);
    await checkModule(on.device, {
      name: 'without padding, of another stream',
      module: perceiver.create({ ...two, causal: true }, options),
      shape: [1, 7, 12],
      run: (mixer, both) =>
        streamOf(mixer, slice(both, { axis: 2, end: 6 }), { stream: slice(both, { axis: 2, start: 6 }) }),
      oracle: (g, both, p) => lastRows(g, g.columns(both, 0, 6), g.columns(both, 6, 12), p),
    });
  });

  test('a later row changes no latent before it; the order of rows is nothing to learned latents', async () => {
    const run = async (causal: boolean, data: Float32Array): Promise<Float32Array> => {
      const module = perceiver.create({ ...two, causal }, options);
      fill(module, on.device, 3);
      const out = scope(() => streamOf(module, tensor(data, [1, 7, 6], { device: on.device })));
      const numbers = (await out.data()) as Float32Array;
      disposeAll(out);
      module.dispose();
      return numbers;
    };
    const x = uniform(5, 42);
    // row 5 is that of latent 2
    const changed = x.map((value, at) => (at >= 30 ? NaN : value));
    expectSameBits('before', (await run(true, changed)).subarray(0, 12), (await run(true, x)).subarray(0, 12));
    const turned = x.map((_, at) => x[36 - 6 * Math.floor(at / 6) + (at % 6)]!);
    expectClose('turned', await run(false, turned), await run(false, x), { budget: 2 ** -19 });
  });
});

test('says how many rows it gives, and what it does not take', () => {
  expect(perceiver.create(sizes).resize?.(500)).toBe(256);
  expect(perceiver.create(sizes).resize?.(50)).toBe(50);
  expect(() => perceiver.create(sizes, { keyDim: 300 })).toThrow('keyDim');
});
