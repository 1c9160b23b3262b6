import type { Device } from '../../devices/device.js';
import { keep, tensorsIn, type Tensor } from '../../tensor/index.js';
import { ownOptions, type CommonOptions, type Settings } from '../call.js';
import type { AnyOptions, Mechanism } from '../mechanism.js';
import type { AttentionShape, OptionSpecs } from '../options.js';
import { CopiedCache, FixedCache, RecurrentState } from './fixed.js';
import type { Memory, PlainAttention, Step } from './memory.js';
import { isPlain, type Kept } from './options.js';
import { checkPattern, RingCache } from './ring.js';

/** What a decoder is made with. */
export interface Setting {
  readonly mechanism: Mechanism;
  readonly options: AnyOptions;
  readonly kept: Kept;
  readonly maxLength: number;
}

/** What the first step settles for all. */
export interface Opened {
  readonly memory: Memory;
  /** Parameters that the caller did not give. */
  readonly drawn: Readonly<Record<string, Tensor>>;
  readonly whole: AttentionShape;
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

/** Room and parameters for the sequence that a step begins. */
export function openDecoder(setting: Setting, step: Step): Opened {
  const { mechanism, options, kept, maxLength } = setting;
  const { q, k, v } = step;
  const [B, H, , D] = q.shape as [number, number, number, number];
  const whole: AttentionShape = { B, H, G: k.shape[1]!, L: maxLength, S: maxLength, D, E: v.shape[3]! };
  const { settings, attention } = settleDecoder(setting, whole);
  const own = options.parameters ?? {};
  const all = Object.entries(mechanism.parameters(whole, { ...options, device: q.device }));
  const drawn = Object.fromEntries<Tensor>(all.filter(([name]) => own[name] === undefined));
  const call: CommonOptions = { ...options, parameters: { ...drawn, ...own } };
  const { recurrence, inputs: known = {} } = mechanism.definition;
  const inputs = Object.fromEntries(
    Object.entries<'q' | 'k' | 'v'>(known).filter(([name]) => step.inputs[name] !== undefined),
  );
  const memoryOf = (): Memory => {
    if (recurrence !== undefined) {
      return new RecurrentState((next, state) => {
        const tokens = next.q.shape[2]!;
        const shape = { ...whole, L: tokens, S: tokens };
        const given = { ...call, inputs: next.inputs };
        return recurrence.step(mechanism.call(next.q, next.k, next.v, given, { shape, settings }), state);
      });
    }
    if (attention === undefined) {
      const values = { ...call, ...ownOptions(settings.values), causal: true };
      const names = Object.keys(inputs).filter((name) => inputs[name] !== 'q');
      return new CopiedCache(
        (rows) => mechanism.run(rows.q, rows.k, rows.v, { ...values, inputs: rows.inputs }),
        step,
        names,
        maxLength,
      );
    }
    return kept.cache === 'fixed' ? new FixedCache(attention, step) : new RingCache(attention, kept, step);
  };
  const memory = memoryOf();
  keep([memory.tensors, drawn]);
  const read = [...tensorsIn([attention?.score, call.parameters])];
  return { memory, drawn, whole, device: q.device, inputs, read };
}
