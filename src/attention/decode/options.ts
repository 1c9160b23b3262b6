import { describe, isPlainObject } from '../../core/describe.js';
import { floatDtypes, type FloatDtype } from '../../core/dtype.js';
import { CapabilityError } from '../../core/errors.js';
import {
  anything,
  int32From,
  notOptions,
  oneOf,
  reasonsAgainst,
  refuse,
  type Requirements,
} from '../../core/requirements.js';
import type { Device } from '../../devices/device.js';
import type { Mask } from '../../masks/index.js';
import type { Tensor } from '../../tensor/index.js';
import { commonOptions, type AnyOptions, type CommonOptions, type Settings } from '../call.js';
import { attendWithin, type AttentionDefinition, type AttentionResult, type Call } from '../definition.js';
import type { AttentionShape, OptionSpecs } from '../options.js';

const kinds = ['fixed', 'ring', 'sink'] as const;
/** What a decoder keeps of the tokens so far. */
export type CacheKind = (typeof kinds)[number];

/** (A type and no interface, so that it is a record as well, as the options of a call are.) */
export type DecoderOptions = {
  /** Tokens it will see at most: defaults and parameters that depend on the length are those of this length. */
  readonly maxLength: number;
  /**
   * `fixed` (default): all tokens, in room for `maxLength`. `ring`: the last `window`. `sink`: the first `sinks` and the last
   * `window`. (Attention sinks: Xiao et al. 2023, arXiv 2309.17453.) Not for mechanisms with a state of fixed size.
   */
  readonly cache?: CacheKind;
  /** Tokens that a ring keeps, the newest included. */
  readonly window?: number;
  /** First tokens that a sink cache keeps besides. */
  readonly sinks?: number;
  /** How keys and values are kept, default `'f32'`: `'f16'` and `'bf16'` round them and take half the memory. Of exact attention. */
  readonly cacheDtype?: FloatDtype;
  /** Sequences; default as many as the first step has. */
  readonly rows?: number;
};

const cacheOptions: Readonly<Record<CacheKind, readonly string[]>> = {
  fixed: [],
  ring: ['window'],
  sink: ['window', 'sinks'],
};
const extent = int32From(1);
const requirements = {
  maxLength: extent,
  cache: oneOf(kinds),
  window: extent,
  sinks: extent,
  cacheDtype: oneOf(floatDtypes),
  rows: extent,
} satisfies Readonly<Record<keyof DecoderOptions, unknown>>;

/** Which tokens stay; a ring has no sinks. */
export type Kept = { readonly cacheDtype?: FloatDtype } & (
  { readonly cache: 'fixed' } | { readonly cache: 'ring' | 'sink'; readonly window: number; readonly sinks: number }
);

/** What a decoder asks of its mechanism. */
interface Decoded {
  readonly name: string;
  readonly definition: AttentionDefinition;
  run(q: Tensor, k: Tensor, v: Tensor, options: AnyOptions): AttentionResult;
  call(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    options: CommonOptions,
    checked: { readonly shape: AttentionShape; readonly settings: Settings<OptionSpecs> },
  ): Call;
  settle(shape: AttentionShape, options: AnyOptions): Settings<OptionSpecs>;
  pattern(shape: AttentionShape, options: AnyOptions): Mask | undefined;
  parameters(shape: AttentionShape, given: { readonly device: Device } & AnyOptions): Readonly<Record<string, Tensor>>;
}

/** What a decoder is made with. */
export interface Setting {
  /** Sequences; of a decoder that has not begun, undefined: as many as its first step has. */
  readonly rows?: number | undefined;
  /** Of a fork: which rows of the first decoder its rows are, and of how many, for scores that read b. */
  readonly batch?: { readonly rows: readonly number[]; readonly of: number } | undefined;
  readonly mechanism: Decoded;
  readonly options: AnyOptions;
  readonly kept: Kept;
  readonly maxLength: number;
}

/** Whether it is exact attention under a pattern, which reads keys where they lie. */
export const isPlain = ({ forward = attendWithin }: AttentionDefinition): boolean => forward === attendWithin;

/** Its own options, and those of calls, which the calls check. A mechanism may have a `window` too; without a cache it is meant. */
const requirementsOf = ({ options }: AttentionDefinition, ofCache: readonly string[]): Requirements => ({
  ...Object.fromEntries([...commonOptions, ...Object.keys(options)].map((name) => [name, anything])),
  ...Object.fromEntries(
    Object.entries(requirements).map(([name, must]) => [
      name,
      ['window', 'sinks'].includes(name) && !ofCache.includes(name) ? anything : must,
    ]),
  ),
});

/**
 * The decoder's options apart from those of its calls.
 *
 * @throws CapabilityError for a mechanism that does not decode so; OptionError for values out of range.
 */
export function decoderOptions(
  definition: AttentionDefinition,
  given: DecoderOptions & AnyOptions,
): Pick<Setting, 'maxLength' | 'kept' | 'options' | 'rows'> {
  const { name, supports } = definition;
  if (!isPlainObject(given)) refuse(`${name}: decoder`, [notOptions(given, Object.keys(requirements))]);
  const { maxLength, cache = 'fixed', window, sinks, cacheDtype = 'f32', rows, ...rest } = given;
  if (supports.decode === false) {
    throw new CapabilityError(`${name}: it does not decode step by step; run it on the whole sequence.`);
  }
  const ofCache = kinds.includes(cache) ? cacheOptions[cache] : [];
  const faults = [...reasonsAgainst(given, requirementsOf(definition, ofCache), ['maxLength', ...ofCache])];
  // a mechanism may have an option of that name
  const own = { ...(window !== undefined && { window }), ...(sinks !== undefined && { sinks }) };
  const shared = Object.fromEntries(Object.entries(own).filter(([option]) => option in definition.options));
  const unused = Object.keys(own).filter(
    (option) => !(option in shared) && (cache === 'fixed' || (cache === 'ring' && option === 'sinks')),
  );
  if (unused.length > 0) {
    const where = unused.includes('sinks') ? '"sink"' : '"ring" or "sink"';
    faults.push(`${unused.join(' and ')} belong to cache: ${where}; got cache: ${describe(cache)}`);
  }
  if (rest.inputs !== undefined) {
    faults.push(
      definition.inputs === undefined
        ? 'it has no inputs'
        : 'inputs belong to the tokens of each step: decoder.step(q, k, v, { inputs })',
    );
  }
  if (rest.lengths !== undefined)
    faults.push('it takes no lengths; sequences of different lengths are its rows: decoder.step(q, k, v, { rows })');
  const ofRun = (['mask', 'state', 'losses', 'training'] as const).filter((option) => rest[option] !== undefined);
  if (ofRun.length > 0) faults.push(`it takes no ${ofRun.join(', ')}: those are of run`);
  refuse(`${name}: decoder`, faults);
  const options = { ...rest, ...shared, causal: true };
  // absent where nothing is rounded, as in states that were exported before
  const stored = cacheDtype === 'f32' ? {} : { cacheDtype };
  if (cacheDtype !== 'f32' && !isPlain(definition)) {
    throw new CapabilityError(
      `${name}: it computes with what it keeps in f32; cacheDtype: "${cacheDtype}" takes exact attention under a pattern, such as flash or sliding-window.`,
    );
  }
  if (cache === 'fixed') return { maxLength, rows, kept: { cache, ...stored }, options };
  if (supports.decode === 'recurrent') {
    throw new CapabilityError(`${name}: its state has a fixed size and forgets nothing; leave out cache: "${cache}".`);
  }
  if (!isPlain(definition)) {
    throw new CapabilityError(
      `${name}: it computes with all keys in order; cache: "${cache}" takes exact attention under a pattern, such as flash or sliding-window.`,
    );
  }
  return {
    maxLength,
    rows,
    kept: { cache, window: window!, sinks: cache === 'sink' ? sinks! : 0, ...stored },
    options,
  };
}
