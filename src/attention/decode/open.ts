import {
  freeVariables,
  lookup,
  substitute,
  tableOf,
  variable,
  wrap,
  type F32,
} from '../../codegen/expression/index.js';
import type { Device } from '../../devices/device.js';
import type { AttendShape } from '../../masks/index.js';
import { Score } from '../../scores/index.js';
import { keep, scope, tensorsIn, type Tensor } from '../../tensor/index.js';
import { ownOptions, type Settings } from '../call.js';
import type { AttentionShape, OptionSpecs } from '../options.js';
import { CopiedCache, FixedCache, RecurrentState } from './fixed.js';
import type { Memory, PlainAttention } from './memory.js';
import { isPlain, type Setting } from './options.js';
import { checkPattern, RingCache } from './ring.js';

/** What the first step settles for all. */
export interface Opened {
  /** Room for some rows of the decoder, that nothing is in yet; the caller disposes of its tensors. */
  readonly memoryOf: (rows: readonly number[]) => Memory;
  /** Parameters that the caller did not give. */
  readonly drawn: Readonly<Record<string, Tensor>>;
  readonly whole: AttentionShape;
  readonly settings: Settings<OptionSpecs>;
  readonly device: Device;
  /** Further projections of every step, and what their rows belong to. */
  readonly inputs: Readonly<Record<string, 'q' | 'k' | 'v'>>;
  /** Tensors that every step reads beside its own. */
  readonly read: readonly Tensor[];
}

/**
 * The settings of a whole sequence, and what exact attention under a pattern is for it.
 *
 * @throws what `run` throws; CapabilityError for a pattern that sees tokens that a ring has forgotten.
 */
export function settleDecoder(
  { mechanism, options, kept }: Setting,
  whole: AttentionShape,
): { readonly settings: Settings<OptionSpecs>; readonly attention?: PlainAttention } {
  const settings = mechanism.settle(whole, options);
  if (!isPlain(mechanism.definition)) return { settings };
  const attention: PlainAttention = {
    name: mechanism.name,
    whole,
    scale: options.scale ?? 1 / Math.sqrt(whole.D),
    pattern: mechanism.pattern(whole, options),
    score: options.score?.expression(whole),
  };
  if (kept.cache !== 'fixed') checkPattern(attention, kept);
  return { settings, attention };
}

/** Sequences, query heads, heads of keys, and sizes of keys and values. */
export type HeadSizes = Omit<AttentionShape, 'L' | 'S'>;

/** Parameters, and a way to make room, for sequences that begin; `given` names the further projections of every step. */
export function openDecoder(setting: Setting, sizes: HeadSizes, device: Device, given: readonly string[]): Opened {
  const { mechanism, options, maxLength } = setting;
  const whole: AttentionShape = { ...sizes, L: maxLength, S: maxLength };
  const { settings, attention } = settleDecoder(setting, whole);
  const own = options.parameters ?? {};
  const all = Object.entries(mechanism.parameters(whole, { ...options, device }));
  const drawn = Object.fromEntries<Tensor>(all.filter(([name]) => own[name] === undefined));
  const known = Object.entries<'q' | 'k' | 'v'>(mechanism.definition.inputs ?? {});
  const inputs = Object.fromEntries(known.filter(([name]) => given.includes(name)));
  const read = [...tensorsIn([attention?.score, options.parameters, drawn])];
  const memoryOf = (rows: readonly number[]): Memory =>
    scope(() => {
      const { batch } = setting;
      const firstRows = batch ? rows.map((row) => batch.rows[row]!) : rows;
      const score = options.score && scoreOfRows(options.score, firstRows, { ...whole, B: batch?.of ?? whole.B });
      const call = { ...options, parameters: { ...drawn, ...own }, ...(score && { score }) };
      const memory = makeMemory({ ...setting, options: call }, { ...whole, B: rows.length }, device, inputs);
      keep(memory.tensors);
      return memory;
    });
  keep(drawn);
  return { memoryOf, drawn, whole, settings, device, inputs, read };
}

function makeMemory(setting: Setting, whole: AttentionShape, device: Device, inputs: Opened['inputs']): Memory {
  const { mechanism, options: call, kept } = setting;
  const { settings, attention } = settleDecoder(setting, whole);
  const { recurrence } = mechanism.definition;
  if (recurrence !== undefined) {
    return new RecurrentState((next, state) => {
      const tokens = next.q.shape[2]!;
      const shape = { ...whole, L: tokens, S: tokens };
      const given = { ...call, inputs: next.inputs };
      return recurrence.step(mechanism.call(next.q, next.k, next.v, given, { shape, settings }), state, next.start);
    });
  }
  if (attention === undefined) {
    const values = { ...call, ...ownOptions(settings.values), causal: true };
    const ofKeys = Object.entries(inputs).filter((input): input is [string, 'k' | 'v'] => input[1] !== 'q');
    return new CopiedCache(
      ({ q, k, v, inputs: further }) => {
        // what it has of the text is computed from all tokens again
        const { state: _, ...result } = mechanism.run(q, k, v, { ...values, inputs: further });
        return result;
      },
      Object.fromEntries(ofKeys),
      device,
      whole,
    );
  }
  return kept.cache === 'fixed'
    ? new FixedCache(attention, device, kept.cacheDtype)
    : new RingCache(attention, kept, device);
}

const b = variable('b', 'i32');

/** A change of scores whose batch rows are numbered as in `whole`. */
function scoreOfRows(score: Score, rows: readonly number[], whole: AttentionShape): Score {
  const ordered = rows.every((row, i) => row === i);
  if (ordered || !freeVariables(score.expression(whole)).has('b')) return score;
  const row = lookup(tableOf('rows', Int32Array.from(rows)), b);
  const expression = (shape: AttendShape): F32 => score.expression({ ...shape, B: whole.B });
  return new Score(String(score), (_, shape) => wrap(substitute(expression(shape), { b: row })) as F32);
}

/** What the state of a decoder is for, as JSON. `maxLength` is not among it: a longer decoder takes a text on. */
export function madeWith({ mechanism, options, kept }: Setting, opened: Opened): Readonly<Record<string, unknown>> {
  const { H, G, D, E } = opened.whole;
  const { scale, score } = options;
  const { seed, values } = opened.settings;
  const of = { mechanism: mechanism.name, options: values, seed, scale, score: score && String(score), ...kept };
  const inputs = Object.keys(opened.inputs);
  return JSON.parse(JSON.stringify({ ...of, H, G, D, E, inputs })) as Readonly<Record<string, unknown>>;
}
