import { describe, isList, isPlainObject } from '../../core/describe.js';
import type { Dtype } from '../../core/dtype.js';
import { FormatError, OptionError } from '../../core/errors.js';
import { checkValue, plainObject } from '../../core/requirements.js';
import { sameShape, show } from '../../core/shape.js';
import { concat } from '../../ops/shape.js';
import { tensorsByName, type Tensor } from '../../tensor/index.js';
import type { Groups, SavedGroup } from './groups.js';

/** What a decoder has of its tokens: named tensors, and a header that JSON can hold. */
export interface DecoderState {
  readonly header: DecoderHeader;
  /** By names such as `0.k`, those of row 0: `[1, …]` each. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

export interface DecoderHeader {
  readonly format: 'subquad decoder';
  readonly version: 1;
  /** What the decoder was made with: one made otherwise does not take the state. */
  readonly of: Readonly<Record<string, unknown>>;
  /** Tokens of each row. */
  readonly lengths: readonly number[];
  /** The shapes of the tensors. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

const [format, version] = ['subquad decoder', 1] as const;

export function saveDecoder(of: DecoderHeader['of'], groups: Groups, rows: number): DecoderState {
  const tensors = new Map<string, Tensor>();
  for (const { rows: own, memory, length } of groups.all) {
    if (length === 0) continue;
    own.forEach((row, i) => {
      for (const [name, x] of Object.entries(memory.save(length, [i]))) tensors.set(`${row}.${name}`, x);
    });
  }
  const shapes = Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]));
  const lengths = Array.from({ length: rows }, (_, row) => groups.lengthOf(row));
  return { header: { format, version, of, lengths, shapes }, tensors };
}

/** @throws OptionError for what is not a header and tensors by name. */
export function checkParts(
  who: string,
  state: { readonly header: unknown; readonly tensors: ReadonlyMap<string, Tensor> },
): void {
  checkValue(who, 'state', state, { ...plainObject, must: 'what export() gave' });
  checkValue(who, 'state.tensors', state.tensors, tensorsByName);
}

/** The header of a state, looked at as what came from a file. @throws FormatError for something else. */
export function checkHeader<T extends { readonly format: string; readonly version: number }>(
  who: string,
  header: unknown,
  { format: wanted, version: ours }: Pick<T, 'format' | 'version'>,
): T {
  const given = isPlainObject(header) ? header : {};
  if (given['format'] !== wanted) {
    throw new FormatError(`${who}: it is no state of a ${wanted.replace('subquad ', '')}; pass what export() gave.`);
  }
  if (given['version'] !== ours) {
    throw new FormatError(
      `${who}: the state has version ${JSON.stringify(given['version'])}, and this one reads version ${ours}; export it anew.`,
    );
  }
  return given as unknown as T;
}

/** What two records differ in, in words. */
export function differencesOf(theirs: unknown, ours: Readonly<Record<string, unknown>>): string[] {
  const given = isPlainObject(theirs) ? theirs : {};
  const text = (value: unknown): string => JSON.stringify(value) ?? 'not set';
  return [...new Set([...Object.keys(ours), ...Object.keys(given)])].flatMap((name) => {
    const [a, b] = [text(given[name]), text(ours[name])];
    return a === b ? [] : [`${name} is ${a} there and ${b} here`];
  });
}

/** Whole numbers from 0 on, of the rows of a state. */
export const isLengths = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length > 0 && value.every((length) => Number.isSafeInteger(length) && length >= 0);

/** The lengths that rows are to be cut to. @throws OptionError unless it is one of at most those there are, or one for each. */
export function lengthsBelow(
  who: string,
  length: number | readonly number[],
  before: readonly number[],
): readonly number[] {
  const to = typeof length === 'number' ? before.map(() => length) : length;
  const fits =
    isList(to) &&
    to.length === before.length &&
    before.every((most, row) => Number.isSafeInteger(to[row]) && to[row]! >= 0 && to[row]! <= most);
  if (fits) return to;
  throw new OptionError(
    `${who}: takes a length, or one for each row, of at most [${before.join()}]; got ${describe(length)}.`,
  );
}

/** What of the tensors does not have the shapes that the header says, `[1, …]` for each row that has tokens. */
export function shapeReasons(
  { shapes: given, lengths, of }: Pick<DecoderHeader, 'shapes' | 'lengths'> & Partial<Pick<DecoderHeader, 'of'>>,
  tensors: ReadonlyMap<string, Tensor>,
): string[] {
  const shapes: DecoderHeader['shapes'] = isPlainObject(given) ? given : {};
  const dtype = (of?.['cacheDtype'] ?? 'f32') as Dtype;
  const reasons: string[] = [];
  const namesOf = (row: number): string =>
    Object.keys(shapes)
      .filter((name) => name.startsWith(`${row}.`))
      .map((name) => name.slice(`${row}`.length))
      .sort()
      .join();
  lengths.forEach((length, row) => {
    if (length > 0 && namesOf(row) === '') reasons.push(`row ${row} has ${length} tokens and no tensors`);
  });
  for (const [name, shape] of Object.entries(shapes)) {
    const found = tensors.get(name);
    if (found?.dtype === dtype && sameShape(found.shape, shape) && found.shape[0] === 1) continue;
    reasons.push(
      `${name} must be ${dtype}${show(shape)}; got ${found ? `${found.dtype}${show(found.shape)}` : 'none'}`,
    );
  }
  return reasons;
}

/** @throws FormatError naming everything that does not fit the decoder. Nothing has been taken in then. */
export function checkState(
  who: string,
  of: DecoderHeader['of'],
  maxLength: number,
  { header, tensors }: DecoderState,
): void {
  const reasons = differencesOf(header.of, of);
  const longest = Math.max(...header.lengths);
  if (longest > maxLength) reasons.push(`${longest} tokens are more than the maxLength of ${maxLength}`);
  reasons.push(...shapeReasons(header, tensors));
  if (reasons.length > 0) throw new FormatError(`${who}: the state is of another decoder: ${reasons.join('; ')}.`);
}

/** Rows of one length go on as one. */
export function savedGroups({ header, tensors }: DecoderState): SavedGroup[] {
  const { lengths, shapes } = header;
  const filled = [...new Set(lengths)].filter((length) => length > 0);
  return filled.map((length) => {
    const rows = lengths.flatMap((one, row) => (one === length ? [row] : []));
    const prefix = `${rows[0]}.`;
    const names = Object.keys(shapes).flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
    const saved = names.map((name) => {
      const parts = rows.flatMap((row) => tensors.get(`${row}.${name}`) ?? []);
      return [name, concat(parts)] as const;
    });
    return { rows, length, saved: Object.fromEntries(saved) };
  });
}
