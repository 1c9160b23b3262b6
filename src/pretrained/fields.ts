import { describe, isPlainObject } from '../core/describe.js';
import { unknown } from '../core/names.js';
import {
  flag,
  listOf,
  oneOf,
  positive,
  reasonAgainst,
  text,
  wholeFrom,
  type Requirement,
} from '../core/requirements.js';
import { harmless } from './harmless.js';

/** What a field of a published `config.json` may hold, and what its class takes where it is absent or null. */
export interface Field<T = unknown> {
  readonly requirement: Requirement;
  readonly default: T;
  /** Why other values are refused, for a field that is understood in some values only. */
  readonly why?: string;
}
export type Fields = Readonly<Record<string, Field>>;

/** A published configuration as a family reads it: every field that it declares, and those that all have. */
export type Values<F extends Fields> = { readonly [N in keyof F]: F[N] extends Field<infer T> ? T : never };

export const field = <T>(requirement: Requirement, usual: T): Field<T> => ({ requirement, default: usual });
/** A whole number of at least `least`; with a default of null, or none. */
export const count = <T extends number | null>(usual: T, least = 1): Field<number | (T & null)> =>
  field(wholeFrom(least), usual as number | (T & null));
export const real = <T extends number | null>(usual: T): Field<number | (T & null)> =>
  field(positive, usual as number | (T & null));
export const yes = (usual: boolean): Field<boolean> => field(flag, usual);
export const word = <T extends string>(values: readonly T[], usual: T): Field<T> => field(oneOf(values), usual);
export const counts = (usual: readonly number[]): Field<readonly number[]> =>
  field(listOf('whole numbers', wholeFrom(0)), usual);

/**
 * A field that is understood in some values only, the first its default; `why` says what another would need.
 *
 * For instance `scale_attn_weights: only([true], 'scores without a scale are not read here')`.
 */
export function only<const T>(values: readonly [T, ...T[]], why: string): Field<T> {
  const keys = values.map((value) => JSON.stringify(value));
  const requirement = {
    must: keys.join(' or '),
    holds: (value: unknown) => keys.includes(JSON.stringify(value)),
  };
  return { requirement, default: values[0], why };
}

/** A token's number; absent where there is none. */
const token: Field<number | null> = count(null as number | null, 0);
const tokens: Field<number | readonly number[] | null> = field(
  {
    must: 'a token or a list of them',
    holds: (value) => [value].flat().every((one) => Number.isSafeInteger(one) && (one as number) >= 0),
  },
  null,
);
const labels: Field<Readonly<Record<string, string>>> = field(
  {
    must: 'an object of names by numbers',
    holds: (value) => isPlainObject(value) && Object.values(value).every(text.holds),
  },
  { 0: 'LABEL_0', 1: 'LABEL_1' },
);

/** What every published configuration may hold, and that changes results; a family may declare one of them otherwise. */
export const commonFields = {
  tie_word_embeddings: yes(true),
  is_encoder_decoder: only([false], 'this architecture has no decoder'),
  is_decoder: only([false], 'as a decoder, this architecture would be causal'),
  add_cross_attention: only([false], 'its layers read no other stream'),
  cross_attention_hidden_size: only([null], 'its layers read no other stream'),
  tie_encoder_decoder: only([false], 'its encoder and decoder have weights of their own'),
  pruned_heads: only([{}], 'save the model again after pruning: its heads must be as many in each layer'),
  quantization_config: only([null], 'weights must be floats: save them dequantised, as float32, float16 or bfloat16'),
  auto_map: only([null], 'it brings code of its own, which is never run'),
  id2label: labels,
  pad_token_id: token,
  bos_token_id: token,
  eos_token_id: tokens,
  sep_token_id: token,
  cls_token_id: token,
  mask_token_id: token,
  decoder_start_token_id: token,
} as const satisfies Fields;

/** The fields of a family beside those that all have. */
export type Theirs<F extends Fields = Fields> = Values<F & Omit<typeof commonFields, keyof F>>;

export interface ReadFields {
  readonly values: Readonly<Record<string, unknown>>;
  /** Fields that change no result and were not read. */
  readonly unread: readonly string[];
  readonly reasons: readonly string[];
}

/** What names the model and its weights, read elsewhere. */
const elsewhere = new Set(['model_type', 'architectures']);

/** A published configuration by its declared fields; `ignored` are names that the caller takes the responsibility for. */
export function readFields(
  json: Readonly<Record<string, unknown>>,
  declared: Fields,
  ignored: readonly string[] = [],
): ReadFields {
  const fields: Fields = { ...commonFields, ...declared };
  const known = Object.keys(fields);
  const reasons: string[] = [];
  const values = Object.fromEntries(
    Object.entries(fields).map(([name, { requirement, default: usual, why }]) => {
      const value = Object.hasOwn(json, name) && !ignored.includes(name) ? json[name] : undefined;
      if (value === undefined || value === null) return [name, usual];
      const reason = reasonAgainst(name, value, requirement);
      if (reason !== undefined) reasons.push(why === undefined ? reason : `${reason}: ${why}`);
      return [name, value];
    }),
  );
  const others = Object.keys(json).filter((name) => !Object.hasOwn(fields, name) && !elsewhere.has(name));
  const strange = others.filter((name) => json[name] !== null && !ignored.includes(name) && !harmless(name));
  if (strange.length > 0) {
    reasons.push(
      unknown(
        'field',
        strange,
        known,
        `what they change is not known, such as ${strange[0]} = ${describe(json[strange[0]!])}`,
      ),
    );
  }
  return { values, unread: others.filter((name) => !strange.includes(name)), reasons };
}
