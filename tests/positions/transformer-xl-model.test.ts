import { describe, expect, it } from 'vitest';
import {
  add,
  concat,
  embedding,
  layerNorm,
  matmul,
  mul,
  relu,
  reshape,
  slice,
  transpose,
} from '../../src/ops/index.js';
import { within, type Mask } from '../../src/masks/index.js';
import { relativeAttend } from '../../src/positions/index.js';
import { scope, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

// A model of two layers whose outputs were written down from Hugging Face's Transformer-XL: vocabulary 40, size 8, 2 heads of
// 4, inner size 12, memory 4 (of zeros at first), clamp 5. Parameters are made from their names.
const [vocabulary, size, heads, headDim, inner, memory, clamp] = [40, 8, 2, 4, 12, 4, 5];
const ids = [8, 15, 22, 29, 6, 13, 20, 27, 34, 11];
const expected = {
  first: [-0.203912, -1.694593, -0.297757, 1.284185, -0.341104, -0.91275, -0.747043, 2.266441, 2.40117, 38.6094],
  second: [-0.79728, 1.36843, 0.177925, 0.451162, -0.893236, 1.398036, 0.823533, -0.431859, 1.76766, 37.00266],
  sameLength: [-0.79653, 1.406057, 0.251196, 0.315212, -1.017425, 1.063156, 1.191083, -0.982582, 1.78362, 36.99843],
};

function parameter(name: string, shape: readonly number[], on: { readonly device: Tensor['device'] }): Tensor {
  const hash = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 97;
  const norm = name.toLowerCase().includes('norm') && name.endsWith('.weight');
  const values = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    const value = 0.3 * Math.sin(1 + 0.7 * i + 0.31 * hash);
    return norm ? 1 + value / 3 : value;
  });
  return tensor(values, shape, { device: on.device });
}

onEveryDevice((on) => {
  /** One layer; `past` is what its input was for the tokens before. */
  function layer(index: number, x: Tensor, past: Tensor, mask: Mask | undefined): Tensor {
    const own = (name: string, ...shape: number[]): Tensor => parameter(`layers.${index}.${name}`, shape, on);
    const normalised = (name: string, y: Tensor): Tensor =>
      layerNorm(y, { weight: own(`${name}.layer_norm.weight`, size), bias: own(`${name}.layer_norm.bias`, size) });
    const split = (y: Tensor): Tensor => transpose(reshape(y, [1, y.shape[0]!, heads, headDim]), [0, 2, 1, 3]);
    const all = concat([past, x]);
    const projected = matmul(all, own('dec_attn.qkv_net.weight', 3 * size, size), { transposeB: true });
    const [q, k, v] = [0, 1, 2].map((i) => split(slice(projected, { axis: 1, start: i * size, end: (i + 1) * size })));
    const { out } = relativeAttend(
      slice(q!, { axis: 2, start: past.shape[0]! }),
      k!,
      v!,
      {
        weight: own('dec_attn.r_net.weight', size, size),
        contentBias: own('dec_attn.r_w_bias', heads, headDim),
        positionBias: own('dec_attn.r_r_bias', heads, headDim),
      },
      { clamp, ...(mask && { mask }) },
    );
    const joined = reshape(transpose(out, [0, 2, 1, 3]), [x.shape[0]!, size]);
    const attended = normalised(
      'dec_attn',
      add(x, matmul(joined, own('dec_attn.o_net.weight', size, size), { transposeB: true })),
    );
    const hidden = relu(
      matmul(attended, own('pos_ff.CoreNet.0.weight', inner, size), {
        transposeB: true,
        bias: own('pos_ff.CoreNet.0.bias', inner),
      }),
    );
    const out2 = matmul(hidden, own('pos_ff.CoreNet.3.weight', size, inner), {
      transposeB: true,
      bias: own('pos_ff.CoreNet.3.bias', size),
    });
    return normalised('pos_ff', add(attended, out2));
  }

  function segment(
    tokens: readonly number[],
    pasts: readonly Tensor[],
    mask?: Mask,
  ): { out: Tensor; memories: Tensor[] } {
    const table = parameter('word_emb.emb_layers.0.weight', [vocabulary, size], on);
    let x = mul(
      embedding(table, tensor(Int32Array.from(tokens), [tokens.length], { device: on.device })),
      Math.sqrt(size),
    );
    const memories: Tensor[] = [];
    pasts.forEach((past, index) => {
      memories.push(slice(concat([past, x]), { start: -memory }));
      x = layer(index, x, past, mask);
    });
    return { out: x, memories };
  }

  const summary = (values: ArrayLike<number>): number[] => {
    const all = Array.from(values);
    const sum = all.reduce((a, b) => a + b, 0);
    return [...all.slice(0, 4), ...all.slice(4 * size, 4 * size + 4), sum, all.reduce((a, b) => a + Math.abs(b), 0)];
  };

  describe('relativeAttend', () => {
    it('gives what Hugging Face gives, over two segments, with and without equal lengths', async () => {
      const outs = scope(() => {
        const start = [0, 1].map(() => zeros([memory, size], { device: on.device }));
        const first = segment(ids.slice(0, 5), start);
        const second = segment(ids.slice(5), first.memories);
        // every query sees as many keys as the memory holds, itself among them
        const sameLength = segment(ids.slice(5), first.memories, within({ left: memory - 1, right: 0 }));
        return { first: first.out, second: second.out, sameLength: sameLength.out };
      });
      for (const [name, out] of Object.entries(outs)) {
        const got = summary(await out.data());
        // six digits were written down; the sums add 40 of them
        expected[name as keyof typeof expected].forEach((value, i) =>
          expect(Math.abs(got[i]! - value), `${name} ${i}`).toBeLessThan(i < 8 ? 2e-6 : 2e-5),
        );
        out.dispose();
      }
    });
  });
});
