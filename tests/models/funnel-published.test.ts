import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'vitest';
import { readConfig, Transformer } from '../../src/models/index.js';
import { noGradient, scope, slice, tensor, type Tensor } from '../../src/index.js';
import { inMemory, Safetensors } from '../../src/train/checkpoint/index.js';
import { readTensors } from '../../src/train/read-tensors.js';
import { double } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { parametersOf } from './check.js';
import { FunnelOracle } from './funnel-oracle.js';

/** A tiny published model with random weights, and what its layers give; beside the repository, where it is there. */
const folder = new URL('../../../shared/golden/hf/funnel/', import.meta.url);
const [D, heads, size, hidden] = [32, 4, 8, 48];
const base = {
  kind: 'encoder',
  vocabulary: 97,
  width: D,
  heads,
  length: 24,
  bias: true,
  position: 'transformer-xl',
  feedForward: { hidden, activation: 'gelu-tanh' },
  norm: { kind: 'layer', place: 'post', epsilon: 1e-9 },
};
const encoder = ['encoder.blocks.0.0', 'encoder.blocks.0.1', 'encoder.blocks.1.0', 'encoder.blocks.1.1'];
const whole = [...encoder, 'decoder.layers.0', 'decoder.layers.1'];
const layers = [{}, {}, { pooling: 'mean' }, {}, { pooling: 'restore' }, {}];

type Numbers = ReadonlyMap<string, ArrayLike<number>>;

/** `[rows, columns]` turned. */
const turned = (x: ArrayLike<number>, rows: number): number[] =>
  Array.from({ length: x.length }, (_, i) => x[(i % rows) * (x.length / rows) + Math.floor(i / rows)]!);
const sideBySide = (parts: readonly (readonly number[])[], rows: number): number[] =>
  Array.from({ length: rows }, (_, r) =>
    parts.flatMap((part) => part.slice((r * part.length) / rows, ((r + 1) * part.length) / rows)),
  ).flat();

/** Our parameters of a layer of theirs. */
function layerOf(theirs: Numbers, name: string, pools: boolean): Record<string, ArrayLike<number>> {
  const at = (part: string): ArrayLike<number> => theirs.get(`${name}.${part}`)!;
  const [q, k, v, out] = ['q_head', 'k_head', 'v_head', 'post_proj'].map((of) =>
    turned(at(`attention.${of}.weight`), D),
  );
  const biases = ['k_head', 'v_head'].flatMap((of) => Array.from(at(`attention.${of}.bias`)));
  const none = new Array<number>(heads * size).fill(0); // queries have no bias there
  const projections: Record<string, ArrayLike<number>> = pools
    ? { 'query.weight': q!, 'query.bias': none, 'keyValue.weight': sideBySide([k!, v!], D), 'keyValue.bias': biases }
    : { 'qkv.weight': sideBySide([q!, k!, v!], D), 'qkv.bias': [...none, ...biases] };
  const attention = {
    ...projections,
    'out.weight': out!,
    'out.bias': at('attention.post_proj.bias'),
    weight: turned(at('attention.r_kernel'), D),
    contentBias: at('attention.r_w_bias'),
    positionBias: at('attention.r_r_bias'),
    // all tokens are of one segment: what is left of the term of segments
    others: Array.from(at('attention.seg_embed')).slice(heads * size),
    othersBias: at('attention.r_s_bias'),
  };
  return {
    ...Object.fromEntries(Object.entries(attention).map(([part, x]) => [`attention.${part}`, x])),
    'attentionResidual.norm.weight': at('attention.layer_norm.weight'),
    'attentionResidual.norm.bias': at('attention.layer_norm.bias'),
    'feedForward.up.weight': turned(at('ffn.linear_1.weight'), hidden),
    'feedForward.up.bias': at('ffn.linear_1.bias'),
    'feedForward.down.weight': turned(at('ffn.linear_2.weight'), D),
    'feedForward.down.bias': at('ffn.linear_2.bias'),
    'feedForwardResidual.norm.weight': at('ffn.layer_norm.weight'),
    'feedForwardResidual.norm.bias': at('ffn.layer_norm.bias'),
  };
}

const open = (file: string): Promise<Safetensors> =>
  Safetensors.open(inMemory(readFileSync(new URL(file, folder))), file);

const known = existsSync(folder) ? describe : describe.skip;
known('a published Funnel, where it lies beside the repository', () => {
  onWebAssemblyFirst((on) => {
    const read = async (file: string): Promise<Map<string, Tensor>> =>
      readTensors(await open(file), { device: on.device });
    /** A model with the published weights of its layers; the numbers by name too. */
    const modelOf = async (names: readonly string[]) => {
      const theirs = new Map<string, ArrayLike<number>>();
      for (const [name, x] of await read('model.safetensors')) {
        theirs.set(name, await x.data());
        x.dispose();
      }
      const model = new Transformer(readConfig({ ...base, layers: layers.slice(0, names.length) }));
      const numbers = new Map<string, Float32Array>();
      const own = names.map((name, i) => layerOf(theirs, name, i === 2));
      for (const [name, { spec }] of model.namedParameters()) {
        const [, layer, part] = /^stack\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
        const count = spec.shape.reduce((all, extent) => all * extent, 1);
        numbers.set(name, layer ? Float32Array.from(own[Number(layer)]![part!]!) : new Float32Array(count));
      }
      scope(() =>
        model.load(
          new Map(
            [...model.namedParameters()].map(([name, { spec }]) => [
              name,
              tensor(numbers.get(name)!, spec.shape, { device: on.device }),
            ]),
          ),
        ),
      );
      return { model, numbers };
    };

    test.each([
      ['encoder', encoder, 'out.hidden_states.4', [24, 20], [12, 10]],
      // beyond the shorter text, rows without meaning are repeated there: whole texts alone
      ['with its decoder', whole, 'out.last_hidden_state', [24], [24]],
    ] as const)('%s: what the layers give, by the oracle and by the stack', async (_, names, result, lengths, rows) => {
      const { model, numbers } = await modelOf(names);
      const golden = await read('golden.safetensors');
      const want = (await golden.get(result)!.data()) as Float32Array;
      const given = (await golden.get('out.hidden_states.0')!.data()) as Float32Array;
      const out = scope(() =>
        noGradient(() => {
          const x = slice(golden.get('out.hidden_states.0')!, { end: lengths.length });
          return model.stack.forward(x, { lengths }).stream;
        }),
      );
      const got = await out.data();
      const per = want.length / 2;
      for (const [i, count] of rows.entries()) {
        const wanted = want.subarray(i * per, i * per + count * D);
        const g = new Graph(double);
        const oracle = new FunnelOracle(g, model.config, parametersOf(g, model, numbers));
        const x = g.input(given.subarray(i * 24 * D, (i * 24 + lengths[i]!) * D), lengths[i]!, D);
        // its README: steps that stayed in float32 there leave up to 1e-5 of noise
        const budget = budgetOf(wanted) + 1e-5;
        expectClose(`oracle, text ${i}`, oracle.layers(x).data, wanted, { budget });
        expectClose(
          `stack, text ${i}`,
          got.subarray(i * (got.length / lengths.length), i * (got.length / lengths.length) + count * D),
          wanted,
          { budget },
        );
      }
      out.dispose();
      for (const one of golden.values()) one.dispose();
      model.dispose();
    });
  });
});
