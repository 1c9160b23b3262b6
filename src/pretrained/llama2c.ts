import { FormatError } from '../core/errors.js';
import { checkValue, checkValues, made } from '../core/requirements.js';
import type { Device } from '../devices/device.js';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../models/index.js';
import { chain, joined, reordered, transposed, weightMap, type WeightMap } from '../nn/index.js';
import { ropePermutation } from '../positions/index.js';
import { disposeAll, scope, someDevice, tensor, type Tensor } from '../tensor/index.js';
import { checkFinite } from '../train/diagnose.js';

export interface Llama2cOptions {
  readonly device: Device;
}

/** A model of llama2.c, ready to run. */
export interface Llama2c {
  /** With its weights. The caller disposes of it. */
  readonly model: LanguageModel;
  readonly config: ModelConfig;
  /** Between the names of Meta's checkpoints and the model's. */
  readonly map: WeightMap;
}

const someBytes = made('the bytes of a file, a Uint8Array', Uint8Array);
const HEADER = 7;

/**
 * A model as llama2.c stores it (its first format, without a magic number): seven int32, then f32 tensors one after the other. Queries and
 * keys are put in the order in which the halves of a head turn; what the file has of angles is not read, since they follow from positions.
 *
 * @throws FormatError for bytes that are no such file, or of another length than its header says.
 */
export async function loadLlama2c(bytes: Uint8Array, options: Llama2cOptions): Promise<Llama2c> {
  checkValue('loadLlama2c', 'bytes', bytes, someBytes);
  checkValues('loadLlama2c', options, { device: someDevice }, ['device']);
  const header = headerOf(bytes);
  const { width, hidden, layers, heads, kvHeads, vocabulary, length, tied } = header;
  const config = readConfig({
    width,
    layers,
    heads,
    kvHeads,
    vocabulary,
    length,
    tied,
    feedForward: { hidden, activation: 'silu', gated: true },
    norm: { kind: 'rms', epsilon: 1e-5 },
  });
  const map = mapOf(header);
  const tensors = tensorsOf(bytes, header, options.device);
  const model = createModel(config);
  try {
    scope(() => model.load(tensors, { map }));
    await checkFinite('loadLlama2c', model);
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    disposeAll(tensors);
  }
  return { model, config, map };
}

interface Header {
  readonly width: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
  readonly length: number;
  readonly tied: boolean;
}

function headerOf(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers = Array.from({ length: Math.min(HEADER, Math.floor(bytes.length / 4)) }, (_, i) =>
    view.getInt32(4 * i, true),
  );
  const [width = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, vocabulary = 0, length = 0] = numbers;
  const sizes = [width, hidden, layers, heads, kvHeads, Math.abs(vocabulary), length];
  const fits = numbers.length === HEADER && sizes.every((size) => size > 0 && size < 2 ** 24);
  if (!fits || width % heads !== 0 || heads % kvHeads !== 0 || (width / heads) % 2 !== 0) {
    throw new FormatError(
      `loadLlama2c: these bytes do not begin with the sizes of a model (width, hidden, layers, heads, kvHeads, vocabulary, length); got ${numbers.join(', ')}.`,
    );
  }
  // the sign of the vocabulary says whether the table of embeddings makes the logits too
  return { width, hidden, layers, heads, kvHeads, vocabulary: Math.abs(vocabulary), length, tied: vocabulary > 0 };
}

/** Names and shapes of what follows the header, in its order; without a name, it is not read. */
function partsOf(
  sizes: Header,
): readonly (readonly [name: string | undefined, shape: readonly number[], layers: number])[] {
  const { width, hidden, layers, kvHeads, heads, vocabulary, length, tied } = sizes;
  const headDim = width / heads;
  const of = (name: string, ...shape: readonly number[]) => [`layers.{i}.${name}.weight`, shape, layers] as const;
  return [
    ['tok_embeddings.weight', [vocabulary, width], 1],
    of('attention_norm', width),
    of('attention.wq', width, width),
    of('attention.wk', kvHeads * headDim, width),
    of('attention.wv', kvHeads * headDim, width),
    of('attention.wo', width, width),
    of('ffn_norm', width),
    of('feed_forward.w1', hidden, width),
    of('feed_forward.w2', width, hidden),
    of('feed_forward.w3', hidden, width),
    ['norm.weight', [width], 1],
    [undefined, [length, headDim / 2], 2],
    ...(tied ? [] : [['output.weight', [vocabulary, width], 1] as const]),
  ];
}

function tensorsOf(bytes: Uint8Array, sizes: Header, device: Device): Map<string, Tensor> {
  const parts = partsOf(sizes);
  const countOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);
  const whole = 4 * (HEADER + parts.reduce((sum, [, shape, layers]) => sum + layers * countOf(shape), 0));
  if (bytes.length !== whole) {
    throw new FormatError(
      `loadLlama2c: a model of these sizes has ${whole} bytes; got ${bytes.length}. Is it cut, or quantised?`,
    );
  }
  const tensors = new Map<string, Tensor>();
  let at = 4 * HEADER;
  try {
    for (const [name, shape, layers] of parts) {
      for (let i = 0; i < layers; i++) {
        const count = countOf(shape);
        // a copy, since a view must begin at a multiple of its element
        const data = new Float32Array(new Uint8Array(bytes.subarray(at, at + 4 * count)).buffer);
        at += 4 * count;
        if (name !== undefined) tensors.set(name.replace('{i}', String(i)), tensor(data, shape, { device }));
      }
    }
  } catch (error) {
    disposeAll(tensors);
    throw error;
  }
  return tensors;
}

function mapOf({ width, heads, kvHeads, tied }: Header): WeightMap {
  const headDim = width / heads;
  const [theirs, layer] = ['layers.{i}', 'stack.layers.{i}'];
  const columns = [width, kvHeads * headDim, kvHeads * headDim];
  const values = Int32Array.from({ length: columns[2]! }, (_, i) => width + columns[1]! + i);
  const order = Int32Array.from([
    ...ropePermutation({ heads, headDim, to: 'half' }),
    ...ropePermutation({ heads: kvHeads, headDim, to: 'half' }).map((i) => width + i),
    ...values,
  ]);
  return weightMap([
    ['tok_embeddings.weight', 'ends.embedding.weight'],
    [`${theirs}.attention_norm.weight`, `${layer}.attentionResidual.norm.weight`],
    [
      ['wq', 'wk', 'wv'].map((name) => `${theirs}.attention.${name}.weight`),
      `${layer}.attention.qkv.weight`,
      chain(transposed, joined(1, columns), reordered(1, order)),
    ],
    [`${theirs}.attention.wo.weight`, `${layer}.attention.out.weight`, transposed],
    [`${theirs}.ffn_norm.weight`, `${layer}.feedForwardResidual.norm.weight`],
    [`${theirs}.feed_forward.w1.weight`, `${layer}.feedForward.gate.weight`, transposed],
    [`${theirs}.feed_forward.w3.weight`, `${layer}.feedForward.up.weight`, transposed],
    [`${theirs}.feed_forward.w2.weight`, `${layer}.feedForward.down.weight`, transposed],
    ['norm.weight', 'stack.norm.weight'],
    ...(tied ? [] : [['output.weight', 'ends.head.weight', transposed] as const]),
  ]);
}
