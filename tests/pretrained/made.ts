import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { sizeOf } from '../../src/core/shape.js';
import type { Device } from '../../src/devices/index.js';
import { loadPretrained, runPretrained, type Pretrained } from '../../src/pretrained/index.js';
import { disposeAll } from '../../src/tensor/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { DecoderOracle, type DecoderRule, type Weights } from '../oracles/decoder.js';
import { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { uniform } from '../support/random.js';

export type Shapes = Readonly<Record<string, readonly number[]>>;

interface WeightOptions {
  readonly plusOne?: boolean | undefined;
  /** Where both are the same, a head that the file has too is the table again. */
  readonly head?: string;
  readonly table?: string;
}

/** Random weights under published names; those of norms lie around 1, or around 0 where they are what is added to it. */
export function weightsOf(shapes: Shapes, { plusOne = false, head, table }: WeightOptions = {}): Weights {
  const entries = Object.entries(shapes).map(([name, shape], i) => {
    const norm = /norm|ln_/.test(name) && name.endsWith('weight');
    const data = uniform(i + 1, sizeOf(shape), -0.5, 0.5);
    return [name, { shape, data: norm && !plusOne ? data.map((x) => 1 + x) : data }] as const;
  });
  const all = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>(entries);
  if (head !== undefined && head === table && all.has('lm_head.weight')) all.set('lm_head.weight', all.get(table)!);
  return all;
}

/** A folder in Hugging Face layout. */
export function folderOf(config: object | string, weights: Weights): string {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-made-'));
  writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  let at = 0;
  const header: Record<string, object> = {};
  const bytes: Buffer[] = [];
  for (const [name, { shape, data }] of weights) {
    const part = Buffer.from(Float32Array.from(data).buffer);
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + part.length] };
    at += part.length;
    bytes.push(part);
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([length, padded, ...bytes]));
  return folder;
}

/** A folder's model, and the folder gone. */
export async function loadMade(config: object | string, weights: Weights, device: Device): Promise<Pretrained> {
  const folder = folderOf(config, weights);
  try {
    return await loadPretrained(folder, { device });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A published decoder that is made here. */
export interface MadeDecoder {
  readonly config: object;
  readonly shapes: Shapes;
  readonly rule: DecoderRule;
  readonly tokens?: number;
  /** Whether it gives what its routers decided too, which is not compared. */
  readonly routes?: boolean;
}

/** Orders of summation whose largest error is the budget. */
const ORDERS = 6;

/** Every hidden state and logit of a made decoder against the formulas, and its weights back, bit by bit. The caller disposes of the model. */
export async function checkMade(made: MadeDecoder, device: Device): Promise<Pretrained> {
  const { head, table, norm } = made.rule;
  const weights = weightsOf(made.shapes, { plusOne: norm.plusOne, head, table });
  const loaded = await loadMade(made.config, weights, device);
  const { tokens: L = 19 } = made;
  const rows = [0, 1].map((b) => Array.from({ length: L }, (_, i) => (7 * i + 5 * b * i + b + i * i) % 31));
  const outputs = runPretrained(loaded, { input_ids: { data: rows.flat(), shape: [2, L] } });
  const evaluate = (g: Graph): Record<string, number[]> => {
    const results = rows.map((tokens) => new DecoderOracle(g, made.rule, weights).run(tokens));
    const joined = (of: (one: (typeof results)[number]) => ArrayLike<number>): number[] =>
      results.flatMap((one) => Array.from(of(one)));
    return {
      ...Object.fromEntries(
        results[0]!.states.map((_, i) => [`hidden_states.${i}`, joined(({ states }) => states[i]!.data)]),
      ),
      logits: joined(({ logits }) => logits.data),
    };
  };
  const exact = evaluate(new Graph(double));
  const plain = Array.from({ length: ORDERS }, (_, order) => evaluate(new Graph(single, order)));
  const compared = Object.keys(outputs).filter((name) => !(made.routes && /^(router|aux_loss)/.test(name)));
  expect(compared.sort()).toEqual(Object.keys(exact).sort());
  for (const [name, want] of Object.entries(exact)) {
    const budget = Math.max(...plain.map((one) => budgetOf(want, one[name])));
    expectClose(`${loaded.cls.name} ${name}`, await outputs[name]!.data(), want, { budget });
  }
  const back = loaded.map.toTheirs(loaded.model.stateDict());
  expect([...back.keys()].sort()).toEqual([...weights.keys()].sort());
  for (const [name, x] of back) {
    expect(x.shape, name).toEqual(weights.get(name)!.shape);
    expect(await x.data(), name).toEqual(weights.get(name)!.data);
  }
  disposeAll([outputs, back]);
  return loaded;
}
