import { expect, test } from 'vitest';
import { bandProduct } from '../../../src/attention/kernel-methods/band.js';
import { lambda } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/lambda.js';
import { expectClose, type Numbers } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { readSafetensors } from '../../support/safetensors.js';

const excuse = 'weights of hidden pairs are zeros in a plain product';

gate(lambda, {
  oracle: oracles.lambda,
  options: [{ radius: 3 }, { radius: 40 }, { radius: 1, width: 5 }, { radius: 0 }],
  weights: 'signed',
  nanSpreads: { future: excuse },
  draw: (next) => ({ radius: Math.floor(5 * next()), width: next() < 0.5 ? 0 : 1 + Math.floor(8 * next()) }),
});

const golden = (name: string) => readSafetensors(new URL(`../../fixtures/lambda/${name}.safetensors`, import.meta.url));

/** Rows of tokens through a matrix `[outputs, inputs]`, and a batch norm as in evaluation if it is named. */
function projected(stored: ReturnType<typeof golden>, name: string, norm?: string): Float64Array {
  const [x, W] = [stored['in.x']!, stored[`param.to_${name}.weight`]!];
  const [outputs, inputs] = W.shape as [number, number];
  const n = x.data.length / inputs;
  const of = (what: string, c: number, otherwise: number): number =>
    norm === undefined ? otherwise : stored[`param.${norm}.${what}`]!.data[c]!;
  return Float64Array.from({ length: n * outputs }, (_, at) => {
    const [token, c] = [Math.floor(at / outputs), at % outputs];
    let sum = 0;
    for (let i = 0; i < inputs; i++) sum += W.data[c * inputs + i]! * x.data[i * n + token]!;
    const centred = (sum - of('running_mean', c, 0)) / Math.sqrt(of('running_var', c, 1) + (norm ? 1e-5 : 0));
    return centred * of('weight', c, 1) + of('bias', c, 0);
  });
}

onEveryDevice((on) => {
  test.each([
    ['global', 5, 'rel_pos_emb'],
    ['local', 1, 'pos_conv.weight'],
  ] as const)(
    'an image of 6 × 6 is as in another implementation (lambda-networks), %s',
    async (name, radius, table) => {
      const { device } = on;
      const stored = golden(name);
      const [n, H, D, E] = [36, 2, 4, 6];
      const q = projected(stored, 'q', 'norm_q'); // [n, H·D]
      const vectors = stored[`param.${table}`]!.data;
      const offsets = (2 * radius + 1) ** 2;
      // a convolution has its channels first
      const positions = Float64Array.from({ length: offsets * D }, (_, at) =>
        name === 'global' ? vectors[at]! : vectors[(at % D) * offsets + Math.floor(at / D)]!,
      );
      const heads = Float64Array.from({ length: H * n * D }, (_, at) => {
        const [h, token] = [Math.floor(at / (n * D)), Math.floor(at / D) % n];
        return q[token * H * D + h * D + (at % D)]!;
      });
      const make = (x: Numbers, shape: readonly number[]) => tensor(Float32Array.from(x), shape, { device });
      const out = scope(
        () =>
          lambda.run(
            make(heads, [1, H, n, D]),
            make(projected(stored, 'k'), [1, 1, n, D]),
            make(projected(stored, 'v', 'norm_v'), [1, 1, n, E]),
            { radius, width: 6, parameters: { positions: make(positions, [1, offsets, D]) } },
          ).out,
      );
      const got = await out.data();
      const bias = name === 'local' ? stored['param.pos_conv.bias']!.data : new Float32Array(D);
      // theirs adds a bias to every λᵖ, which adds q·bias to every number of a row
      const ours = Float64Array.from({ length: H * E * n }, (_, at) => {
        const [h, e, token] = [Math.floor(at / (E * n)), Math.floor(at / n) % E, at % n];
        const offset = Array.from(bias).reduce((sum, x, d) => sum + x * heads[(h * n + token) * D + d]!, 0);
        return got[(h * n + token) * E + e]! + offset;
      });
      const want = stored['out.o']!.data;
      // theirs is float32 too, with sums of at most 36·4 products
      expectClose('ours and theirs', ours, want, { budget: 1e-5 * Math.max(...Array.from(want, Math.abs)) });
      disposeAll(out);
    },
  );

  test('bands are products of each row by itself', async () => {
    for (const [rows, width, first, of] of [
      [50, 7, -3, 50],
      [50, 1, 0, 50],
      [9, 30, -12, 9],
      [40, 5, 35, 60],
      [40, 5, -50, 40],
    ] as const) {
      const [w, v] = [normal(1, rows * width), normal(2, of * 3)];
      const out = scope(() =>
        bandProduct(tensor(w, [rows, width], { device: on.device }), tensor(v, [of, 3], { device: on.device }), first),
      );
      const want = Array.from({ length: rows * 3 }, (_, at) => {
        const [i, e] = [Math.floor(at / 3), at % 3];
        return Array.from({ length: width }, (__, o) => {
          const j = i + first + o;
          return j >= 0 && j < of ? w[i * width + o]! * v[j * 3 + e]! : 0;
        }).reduce((a, b) => a + b, 0);
      });
      if (out === undefined) expect(want.every((x) => x === 0)).toBe(true);
      else expectClose(`${rows} rows of ${width}`, await out.data(), want, { budget: 1e-5 });
      disposeAll(out ?? []);
    }
  });

  test('a text is an image of one row, and a table that reaches further changes nothing', async () => {
    const { device } = on;
    const [n, D] = [23, 8];
    const make = (seed: number, columns: number) => tensor(normal(seed, n * columns), [1, 1, n, columns], { device });
    const [q, k, v] = [make(1, D), make(2, D), make(3, D)];
    const table = (radius: number): Float32Array => {
      const all = normal(4, (2 * n + 1) * D);
      return all.slice((n - radius) * D, (n + radius + 1) * D);
    };
    const run = async (radius: number, width: number): Promise<Float32Array> => {
      const out = scope(() => {
        const side = 2 * radius + 1;
        const numbers = new Float32Array(side ** (width > 0 ? 2 : 1) * D);
        numbers.set(table(radius), width > 0 ? radius * side * D : 0);
        const positions = tensor(numbers, [1, numbers.length / D, D], { device });
        return lambda.run(q, k, v, { radius, width, parameters: { positions } }).out;
      });
      const got = (await out.data()) as Float32Array;
      out.dispose();
      return got;
    };
    const text = await run(n - 1, 0);
    expectClose('wider', await run(n, 0), text, { budget: 1e-5 });
    expectClose('image', await run(n - 1, n), text, { budget: 1e-5 });
    disposeAll([q, k, v]);
  });
});
