import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.js';
import type { Transformer } from '../../src/models/transformer.js';
import { loadLlama2c } from '../../src/pretrained/index.js';
import { disposeAll, noGradient, scope, tensor } from '../../src/tensor/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { DecoderOracle, type DecoderRule, type LayerRule } from '../oracles/decoder.js';
import { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onEveryDevice, onWebAssemblyFirst } from '../support/devices.js';
import { uniform } from '../support/random.js';

const folder = fileURLToPath(new URL('../../../shared/data/models/stories260K/', import.meta.url));
const there = existsSync(`${folder}stories260K.bin`);

const at = (i: number, name: string): string => `layers.${i}.${name}`;
const rule: DecoderRule = {
  heads: 8,
  groups: 4,
  headDim: 8,
  norm: { mean: false, epsilon: 1e-5 },
  table: 'tok_embeddings.weight',
  layers: Array.from({ length: 5 }, (_, i): LayerRule => {
    const head = (name: string) => (h: number) => ({ name: at(i, `attention.${name}`), row: 8 * h });
    return {
      norms: { attention: at(i, 'attention_norm'), feed: at(i, 'ffn_norm') },
      q: head('wq'),
      k: head('wk'),
      v: head('wv'),
      out: at(i, 'attention.wo'),
      scale: 8 ** -0.5,
      turn: { angles: [1, 0.1, 0.01, 0.001], neighbours: true },
      gate: { name: at(i, 'feed_forward.w1') },
      up: { name: at(i, 'feed_forward.w3') },
      down: { name: at(i, 'feed_forward.w2') },
      activation: 'silu',
    };
  }),
  finalNorm: 'norm',
  head: 'tok_embeddings.weight',
};

/** Of its tokens, by the file of its tokenizer: a length, then for each a score, a length and bytes. */
function textOf(tokens: readonly number[], file: Buffer): string {
  const pieces: string[] = [];
  for (let at = 4; at < file.length;) {
    const length = file.readInt32LE(at + 4);
    const piece = file.toString('utf8', at + 8, at + 8 + length);
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
    pieces.push(byte ? String.fromCharCode(Number.parseInt(byte[1]!, 16)) : piece);
    at += 8 + length;
  }
  // after the token that begins a text, a leading space is left out
  return tokens
    .slice(1)
    .map((token) => pieces[token]!)
    .join('')
    .replace(/^ /, '');
}

/** `exp` of the mean surprise of each token but the first. */
function perplexity(logits: ArrayLike<number>, tokens: readonly number[], vocabulary: number): number {
  const surprises = tokens.slice(1).map((token, i) => {
    const row = Array.from({ length: vocabulary }, (_, c) => logits[i * vocabulary + c]!);
    const top = Math.max(...row);
    return top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0)) - row[token]!;
  });
  return Math.exp(surprises.reduce((sum, x) => sum + x, 0) / surprises.length);
}

describe('stories260K', () => {
  onEveryDevice((on) => {
    test.skipIf(!there)('tells its story token by token, with its logits', async () => {
      const { device } = on;
      const { model, config, map } = await loadLlama2c(readFileSync(`${folder}stories260K.bin`), { device });
      expect(config).toMatchObject({ layers: 5, width: 64, heads: 8, kvHeads: 4, vocabulary: 512, length: 512 });
      const golden = JSON.parse(readFileSync(`${folder}golden_greedy.json`, 'utf8')) as {
        tokens: number[];
        text: string;
      };
      const file = readFileSync(`${folder}golden_greedy_logits_200x512.f32`);
      const want = new Float32Array(new Uint8Array(file).buffer);
      const rows = want.length / 512;
      const story = golden.tokens.slice(0, rows);
      const weights = new Map<string, { shape: readonly number[]; data: ArrayLike<number> }>();
      const theirs = map.toTheirs(model.stateDict());
      for (const [name, x] of theirs) weights.set(name, { shape: x.shape, data: await x.data() });
      disposeAll(theirs);
      const evaluate = (g: Graph): ArrayLike<number> => new DecoderOracle(g, rule, weights).run(story).logits.data;
      const exact = evaluate(new Graph(double));
      const budget = budgetOf(exact, evaluate(new Graph(single, 1)));
      const logits = scope(() =>
        noGradient(() => (model as Transformer).logits(tensor(Int32Array.from(story), [1, rows], { device }))),
      );
      const got = await logits.data();
      logits.dispose();
      expectClose('logits', got, exact, { budget });
      expectClose('published logits', want, exact, { budget });
      expect(perplexity(got, story, 512)).toBeCloseTo(perplexity(want, story, 512), 5);
      const session = (model as Transformer).session({ maxLength: golden.tokens.length });
      const told = [golden.tokens[0]!];
      while (told.length < golden.tokens.length) {
        const next = session.step([told.at(-1)!]);
        const row = Array.from(await next.data());
        next.dispose();
        told.push(row.indexOf(Math.max(...row)));
      }
      expect(told).toEqual(golden.tokens);
      expect(textOf(told, readFileSync(`${folder}tok512.bin`))).toBe(golden.text);
      session.dispose();
      model.dispose();
    });
  });
});

/** A file of tiny sizes; `sign` of the vocabulary says whether logits are made by the table. */
function made(sign: 1 | -1): Uint8Array {
  const [width, hidden, layers, heads, kvHeads, vocabulary, length] = [8, 6, 2, 2, 1, 5, 4];
  const ofLayer = 2 * width + 2 * width * width + 2 * (width / 2) * width + 3 * width * hidden;
  const count = vocabulary * width * (sign < 0 ? 2 : 1) + layers * ofLayer + width + (length * width) / heads;
  const header = Int32Array.from([width, hidden, layers, heads, kvHeads, sign * vocabulary, length]);
  return Buffer.concat([Buffer.from(header.buffer), Buffer.from(uniform(1, count).buffer)]);
}

describe('files of llama2.c', () => {
  onWebAssemblyFirst((on) => {
    test.each([1, -1] as const)(
      'has the weights of the file, with a table for both ends or one each (%i)',
      async (sign) => {
        const { device } = on;
        const bytes = made(sign);
        const { model, map } = await loadLlama2c(bytes, { device });
        const theirs = map.toTheirs(model.stateDict());
        const numbers = new Float32Array(new Uint8Array(bytes).buffer, 28);
        const first = await theirs.get('tok_embeddings.weight')!.data();
        expect(first).toEqual(numbers.slice(0, 40));
        // behind both norms of the layers: the queries of both layers
        const queries = await theirs.get('layers.1.attention.wq.weight')!.data();
        expect(queries).toEqual(numbers.slice(40 + 16 + 64, 40 + 16 + 128));
        expect(theirs.has('output.weight')).toBe(sign < 0);
        if (sign < 0) expect(await theirs.get('output.weight')!.data()).toEqual(numbers.slice(-40));
        disposeAll(theirs);
        model.dispose();
      },
    );

    test('what is no such file, or cut', async () => {
      const load = (bytes: Uint8Array) => loadLlama2c(bytes, { device: on.device });
      await expect(load(made(1).slice(0, 9))).rejects.toThrow(FormatError);
      await expect(load(new Uint8Array(100))).rejects.toThrow(/do not begin with the sizes of a model.*got 0, 0/);
      await expect(load(made(1).slice(0, -4))).rejects.toThrow(/of these sizes has \d+ bytes; got \d+/);
    });
  });
});
