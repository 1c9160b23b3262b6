import { OptionError } from '../core/errors.js';
import { disposeAll } from '../tensor/index.js';
import type { HostArray } from './inputs.js';
import type { Pretrained } from './loaded.js';
import { runPretrained } from './run.js';
import { windowsOf, type WindowChoice } from './task-windows.js';

/** One of the tokens that may stand for a mask, or of the classes of a text. */
export interface Likely {
  readonly token?: string;
  readonly label?: string;
  readonly id: number;
  readonly probability: number;
  /** The logit, of a model that tells a number in place of classes. */
  readonly value?: number;
}

export interface FilledMask {
  /** Token of the text, special ones counted. */
  readonly at: number;
  readonly likely: readonly Likely[];
  /** Tokens that the model saw. */
  readonly window: readonly [from: number, to: number];
}

export interface TaskOptions {
  /** Tokens of a text between its special ones. */
  readonly ids: Int32Array;
  readonly types?: Int32Array;
  /** How a text that is too long is cut; default not at all. */
  readonly windows?: WindowChoice | undefined;
  readonly top?: number | undefined;
}

/** A result of one text, on the host. */
async function resultOf(
  loaded: Pretrained,
  ids: Int32Array,
  pick: (names: readonly string[]) => string,
): Promise<HostArray> {
  const outputs = runPretrained(loaded, { input_ids: { data: ids, shape: [1, ids.length] } });
  try {
    const x = outputs[pick(Object.keys(outputs))]!;
    return { data: await x.data(), shape: x.shape };
  } finally {
    disposeAll(outputs);
  }
}

const logits = (names: readonly string[]): string => {
  if (names.includes('logits')) return 'logits';
  throw new OptionError(`task: the model gives no logits, but ${names.join(', ')}; load it as a class with a head.`);
};

/** The rows after the last layer, whatever the class. */
const lastRows = (names: readonly string[]): string => {
  if (names.includes('last_hidden_state')) return 'last_hidden_state';
  const numbered = names.flatMap((name) => /^(?:encoder_)?hidden_states\.(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  const last = Math.max(...numbered);
  return names.find((name) => name.endsWith(`hidden_states.${last}`) && !name.startsWith('decoder_'))!;
};

/** The likeliest of logits, `Σ = 1` over all. */
export function likeliest(
  row: ArrayLike<number>,
  top: number,
): { readonly id: number; readonly probability: number }[] {
  const most = Array.from(row).reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = Array.from(row, (x) => Math.exp(x - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights
    .map((weight, id) => ({ id, probability: weight / sum }))
    .sort((a, b) => b.probability - a.probability || a.id - b.id)
    .slice(0, top);
}

/** What may stand for each mask of a text: `mask` is its token. */
export async function fillMask(
  loaded: Pretrained,
  { ids, windows, top = 5, mask }: TaskOptions & { readonly mask: number },
): Promise<readonly FilledMask[]> {
  const masks = Array.from(ids.keys()).filter((i) => ids[i] === mask);
  const found: FilledMask[] = [];
  const cuts = windowsOf(loaded, ids, windows);
  const seen = new Map<object, HostArray>();
  for (const at of masks) {
    // the window in which it stands furthest from an end
    const inside = (cut: (typeof cuts)[number]): number => Math.min(at - cut.from, cut.to - 1 - at);
    const best = [...cuts].sort((a, b) => inside(b) - inside(a))[0]!;
    const result = seen.get(best) ?? (await resultOf(loaded, best.ids, logits));
    seen.set(best, result);
    const V = result.shape[2]!;
    const row = at - best.from + best.before;
    const likely = likeliest(Array.from(result.data).slice(row * V, (row + 1) * V), top);
    const token = (id: number): string => loaded.tokenizer?.decode([id]) ?? String(id);
    found.push({
      at,
      likely: likely.map(({ id, probability }) => ({ token: token(id), id, probability })),
      window: [best.from, best.to],
    });
  }
  return found;
}

/**
 * The classes of a text, the likeliest first; over several windows the mean of their logits. Of a model with one class, the number that it
 * tells, as `value`.
 */
export async function classify(loaded: Pretrained, { ids, windows, top }: TaskOptions): Promise<readonly Likely[]> {
  const cuts = windowsOf(loaded, ids, windows);
  const sums: number[] = [];
  for (const cut of cuts) {
    const { data, shape } = await resultOf(loaded, cut.ids, logits);
    if (shape.length !== 2) {
      throw new OptionError(`classify: ${loaded.cls.name} tells no classes of texts; load one with a head for them.`);
    }
    for (let i = 0; i < shape[1]!; i++) sums[i] = (sums[i] ?? 0) + data[i]! / cuts.length;
  }
  const labels = loaded.theirs.id2label as Readonly<Record<string, string>>;
  const named = (id: number): string => labels[id] ?? `LABEL_${id}`;
  if (sums.length === 1) return [{ label: named(0), id: 0, probability: 1, value: sums[0]! }];
  return likeliest(sums, top ?? sums.length).map((one) => ({ label: named(one.id), ...one }));
}

/** The mean of the rows after the last layer, or the first of them: `[width]`. Over windows, the mean of their tokens. */
export async function embed(
  loaded: Pretrained,
  { ids, windows, pool = 'mean' }: TaskOptions & { readonly pool?: 'mean' | 'first' | 'last' },
): Promise<Float32Array> {
  const cuts = windowsOf(loaded, ids, windows);
  const taken = pool === 'mean' ? cuts : pool === 'first' ? cuts.slice(0, 1) : cuts.slice(-1);
  let sum: Float64Array | undefined;
  let count = 0;
  for (const cut of taken) {
    const { data, shape } = await resultOf(loaded, cut.ids, lastRows);
    const [, rows, width] = shape as [number, number, number];
    sum ??= new Float64Array(width);
    const [from, to] = pool === 'mean' ? [0, rows] : pool === 'first' ? [0, 1] : [rows - 1, rows];
    for (let row = from; row < to; row++) for (let j = 0; j < width; j++) sum[j]! += data[row * width + j]!;
    count += to - from;
  }
  return Float32Array.from(sum!, (x) => x / count);
}
