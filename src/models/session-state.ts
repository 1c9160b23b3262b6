import type { DecoderHeader } from '../attention/index.js';
import { checkHeader, differencesOf, isLengths } from '../attention/decode/state.js';
import { FormatError, OptionError } from '../core/errors.js';
import type { Module } from '../nn/index.js';
import { cast, concat, reshape, slice } from '../ops/index.js';
import { noGradient, scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './model-config.js';
import type { SourcesHeader } from './sources.js';

/**
 * What a session has of its tokens: named tensors, and a header that JSON can hold. They are what a checkpoint keeps:
 * `saveCheckpoint(folder, { tensors, state: header })`, and back by `loadCheckpoint` and `readTensors`.
 */
export interface SessionState {
  readonly header: SessionHeader;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

export interface SessionHeader {
  readonly format: 'subquad session';
  readonly version: 1;
  readonly model: ModelConfig;
  /** A mark of the weights; see `markOf`. */
  readonly weights: string;
  /** Tokens of each row. */
  readonly lengths: readonly number[];
  /** What each layer's decoder has, its tensors being named `layers.0.…`; of a model with memory, none. */
  readonly layers?: readonly DecoderHeader[];
  /** What each row of an encoder–decoder reads, its tensors being named `sources.0.…`. */
  readonly sources?: SourcesHeader;
  /** The shapes of the memory's tensors. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
}

const [format, version] = ['subquad session', 1] as const;

interface Saved {
  readonly config: ModelConfig;
  readonly weights: string;
}

export function headerOf(
  { config, weights }: Saved,
  rest: Omit<SessionHeader, 'format' | 'version' | 'model' | 'weights'>,
): SessionHeader {
  const model = JSON.parse(JSON.stringify(config)) as ModelConfig;
  return { format, version, model, weights, ...rest };
}

/** The header, if it is one of that model with that many rows. @throws FormatError, OptionError that say what is another. */
export function checkSession(header: unknown, { config, weights }: Saved, rows: number): SessionHeader {
  const who = 'session: import';
  const given = checkHeader<SessionHeader>(who, header, { format, version });
  const reasons = differencesOf(given.model, { ...config });
  if (reasons.length > 0) throw new FormatError(`${who}: the state is of another model: ${reasons.join('; ')}.`);
  if (given.weights !== weights) {
    throw new FormatError(
      `${who}: the state is of a model of this configuration with other weights; load those that it was exported with.`,
    );
  }
  if (!isLengths(given.lengths)) throw new FormatError(`${who}: the state has no lengths of rows.`);
  if (given.lengths.length === rows) return given;
  throw new OptionError(
    `${who}: the state has ${given.lengths.length} rows and the session ${rows}; open one with rows: ${given.lengths.length}.`,
  );
}

/** Numbers of a parameter that its mark is made of: training changes some of them. */
const MARKED = 64;

/** A mark of a model's weights: a hash (FNV-1a, 32 bits) of the first numbers of every parameter, the same on every device. */
export async function markOf(model: Module): Promise<string> {
  const first = scope(() =>
    noGradient(() =>
      concat(
        [...model.stateDict().values()].map((x) =>
          slice(reshape(cast(x, 'f32'), [x.size]), { end: Math.min(MARKED, x.size) }),
        ),
      ),
    ),
  );
  const numbers = await first.data().finally(() => first.dispose());
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const hash = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
