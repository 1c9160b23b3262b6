import { parseJson as parseValue } from '../../core/json.js';
import { bytesPerElement, checkDtype, type Dtype } from '../../core/dtype.js';
import { FormatError, OptionError } from '../../core/errors.js';
import { show, sizeOf } from '../../core/shape.js';

/** A tensor of a safetensors file; its bytes are `begin … end − 1` of the data. */
export interface TensorEntry {
  readonly name: string;
  /** In small letters: one of this library's, or what else the file has, such as `i64` or `f8_e4m3`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** In the order of their bytes. */
  readonly entries: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes that hold the length of the header. */
export const PREFIX = 8;
/** The format's own limit, in bytes. */
export const LONGEST_HEADER = 100_000_000;

const METADATA = '__metadata__';
const ALIGNMENT = 8;
/** Widest first, so that every tensor starts at a multiple of its element; the rest is the order of the reference. */
const order: readonly Dtype[] = ['f32', 'i32', 'bf16', 'f16', 'u8'];
/** Of an element of each dtype of the format. A dtype that is not here has the bytes that its offsets say. */
const bits: ReadonlyMap<string, number> = new Map(
  Object.entries({
    64: ['c64', 'f64', 'i64', 'u64'],
    32: ['f32', 'i32', 'u32'],
    16: ['bf16', 'f16', 'i16', 'u16'],
    8: ['bool', 'i8', 'u8', 'f8_e4m3', 'f8_e5m2', 'f8_e8m0'],
    6: ['f6_e2m3', 'f6_e3m2'],
    4: ['f4'],
  }).flatMap(([count, dtypes]) => dtypes.map((dtype) => [dtype, Number(count)] as const)),
);
/** What the format calls a dtype. */
const nameOf = (dtype: string): string => dtype.toUpperCase();

/** Extents of a stored tensor are whole numbers; 0 is allowed, and no extents mean a scalar. */
const isShape = (shape: unknown): shape is number[] =>
  Array.isArray(shape) && shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0);

/**
 * Where the bytes of each tensor go, and the start of the file: header length, header, spaces up to a multiple of 8. The
 * order is that of the reference implementation: by dtype, then by the bytes of the name.
 *
 * @throws OptionError for a name, dtype, shape or metadata that the format cannot hold.
 */
export function layOut(
  who: string,
  tensors: readonly { readonly name: string; readonly dtype: Dtype; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly start: Uint8Array; readonly entries: readonly TensorEntry[] } {
  const seen = new Set([METADATA]);
  for (const { name, dtype, shape } of tensors) {
    if (seen.has(name)) throw new OptionError(`${who}: the name "${name}" is taken; rename the tensor.`);
    seen.add(name);
    checkDtype(`${who}: tensor "${name}"`, dtype);
    if (!isShape(shape)) {
      throw new OptionError(
        `${who}: tensor "${name}": extents must be whole numbers of at least 0; got ${show(shape)}.`,
      );
    }
  }
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string')
      throw new OptionError(`${who}: metadata "${key}" must be text; got ${typeof value}.`);
  }
  const utf8 = new TextEncoder();
  const sorted = tensors
    .map((tensor) => ({ ...tensor, key: utf8.encode(tensor.name) }))
    .sort((a, b) => order.indexOf(a.dtype) - order.indexOf(b.dtype) || compareBytes(a.key, b.key));
  let end = 0;
  const entries = sorted.map(({ name, dtype, shape }): TensorEntry => {
    const begin = end;
    end += sizeOf(shape) * bytesPerElement[dtype];
    return { name, dtype, shape: [...shape], begin, end };
  });
  // joined by hand: an object would put names such as "0" first
  const members = entries.map(
    ({ name, dtype, shape, begin, end }) =>
      `${JSON.stringify(name)}:${JSON.stringify({ dtype: nameOf(dtype), shape, data_offsets: [begin, end] })}`,
  );
  if (Object.keys(metadata).length > 0) members.unshift(`"${METADATA}":${JSON.stringify(metadata)}`);
  const text = utf8.encode(`{${members.join(',')}}`);
  return { start: prefixed(who, text), entries };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1);
}

function prefixed(who: string, text: Uint8Array): Uint8Array {
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  if (length > LONGEST_HEADER) {
    throw new OptionError(`${who}: names and metadata take ${length} bytes, the format holds ${LONGEST_HEADER}.`);
  }
  const start = new Uint8Array(PREFIX + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(text, PREFIX);
  return start;
}

/**
 * The header of a file that holds `dataBytes` bytes after it.
 *
 * @throws FormatError, one sentence beginning with `who`, unless every byte of the data belongs to exactly one tensor and
 * every tensor has the bytes of its shape and dtype.
 */
export function parseHeader(who: string, bytes: Uint8Array, dataBytes: number): Header {
  const members = Object.entries(parseJson(who, bytes));
  const metadata = members.find(([name]) => name === METADATA)?.[1] ?? {};
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw new FormatError(`${who}: ${METADATA} must be an object of texts.`);
  }
  const entries = members
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => parseEntry(`${who}: tensor ${JSON.stringify(name)}`, name, value, dataBytes))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  let before = '';
  for (const { name, begin, end } of entries) {
    if (begin < position) {
      throw new FormatError(`${who}: tensors ${JSON.stringify(before)} and ${JSON.stringify(name)} overlap.`);
    }
    if (begin > position) throw unowned(who, position, begin);
    position = end;
    before = name;
  }
  if (position < dataBytes) throw unowned(who, position, dataBytes);
  return { entries, metadata: metadata as Record<string, string> };
}

const unowned = (who: string, from: number, to: number): FormatError =>
  new FormatError(`${who}: bytes ${from} to ${to - 1} of the data belong to no tensor.`);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseEntry(who: string, name: string, value: unknown, dataBytes: number): TensorEntry {
  if (!isObject(value)) throw new FormatError(`${who} must be an object with dtype, shape and data_offsets.`);
  const { dtype: label, shape, data_offsets: offsets, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new FormatError(`${who} has the unknown member ${JSON.stringify(unknown)}.`);
  if (typeof label !== 'string' || !/^[A-Z][A-Z0-9_]*$/.test(label)) {
    throw new FormatError(`${who} has dtype ${JSON.stringify(label)}, which is no name such as "F32".`);
  }
  const dtype = label.toLowerCase();
  if (!isShape(shape)) {
    throw new FormatError(`${who} has a shape that is not a list of whole numbers of at least 0.`);
  }
  if (!isShape(offsets) || offsets.length !== 2) {
    throw new FormatError(`${who} has data_offsets that are not two whole numbers of at least 0.`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw new FormatError(`${who} ends at byte ${end}, before its begin ${begin}.`);
  if (end > dataBytes) {
    throw new FormatError(`${who} ends at byte ${end} of the data, but the file holds only ${dataBytes}: it was cut.`);
  }
  // a dtype of a later version of the format is no reason to refuse the tensors beside it
  const known = bits.get(dtype);
  const bytes = known === undefined ? end - begin : (sizeOf(shape) * known) / 8;
  if (bytes !== end - begin) {
    throw new FormatError(`${who}, ${label} of shape ${show(shape)}, takes ${bytes} bytes; it has ${end - begin}.`);
  }
  return { name, dtype, shape, begin, end };
}

function parseJson(who: string, bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = parseValue(text);
  } catch {
    throw new FormatError(`${who}: the header is not JSON in UTF-8.`);
  }
  // white space may pad the end; at the beginning the format wants the brace
  if (!isObject(value) || bytes[0] !== 0x7b) throw new FormatError(`${who}: the header is not a JSON object.`);
  const twice = repeatedKey(text);
  if (twice !== undefined) throw new FormatError(`${who}: the header has the name ${twice} twice.`);
  return value;
}

/** A key that one object of a valid JSON text has twice; `JSON.parse` keeps the last and says nothing. */
function repeatedKey(json: string): string | undefined {
  const open: Set<unknown>[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (character === '{' || character === '[') open.push(new Set());
    else if (character === '}' || character === ']') open.pop();
    if (character !== '"') continue;
    const start = i++;
    for (; json[i] !== '"'; i++) if (json[i] === '\\') i++;
    let next = i + 1;
    while (' \t\r\n'.includes(json[next]!)) next++;
    if (json[next] !== ':') continue;
    const token = json.slice(start, i + 1);
    const key: unknown = JSON.parse(token);
    if (open.at(-1)!.has(key)) return token;
    open.at(-1)!.add(key);
  }
  return undefined;
}
