import { createHash } from 'node:crypto';
import type { Dtype } from '../../core/dtype.js';
import { FormatError, nearest, OptionError } from '../../core/errors.js';
import { show } from '../../core/shape.js';
import { codeOf, reasonOf } from '../../core/system-errors.js';
import { type Files, nodeFiles, type OpenFile } from './files.js';
import { type Header, layOut, LONGEST_HEADER, parseHeader, PREFIX, type TensorEntry } from './header.js';

/**
 * The safetensors format (Hugging Face, 2022): 8 bytes, the length of the header as a little-endian integer; the header, a JSON
 * object `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …}` that may also hold texts under
 * `__metadata__`; then the bytes of all tensors, little-endian, row-major, without gaps.
 */

/** A tensor to be written. */
export interface TensorSource {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The stored bits, or how to get them; asked for once, when everything before has been written. */
  readonly bytes: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

export type TensorSources = Readonly<Record<string, TensorSource>>;

/** What was written: the number of bytes and their SHA-256 in hexadecimal digits. */
export interface Written {
  readonly bytes: number;
  readonly sha256: string;
}

/** Bytes that are hashed or read at once. */
export const BLOCK = 2 ** 20;

/**
 * Writes tensors to an empty file, one after the other: only one of them is held at a time.
 *
 * @throws OptionError for a name, dtype, shape or metadata that the format cannot hold, or when `bytes` are not those of the shape.
 */
export async function writeSafetensors(
  file: Pick<OpenFile, 'write'>,
  tensors: TensorSources,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Written> {
  const who = 'writeSafetensors';
  const sources = new Map(Object.entries(tensors));
  const described = [...sources].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const { start, entries } = layOut(who, described, metadata);
  const hash = createHash('sha256');
  let total = 0;
  const append = async (bytes: Uint8Array): Promise<void> => {
    // the hash takes less than 2 GiB at once
    for (let at = 0; at < bytes.length; at += BLOCK) hash.update(bytes.subarray(at, at + BLOCK));
    total += bytes.length;
    await file.write(bytes);
  };
  await append(start);
  for (const { name, begin, end, shape, dtype } of entries) {
    const { bytes } = sources.get(name)!;
    const view = typeof bytes === 'function' ? await bytes() : bytes;
    if (view.byteLength !== end - begin) {
      throw new OptionError(
        `${who}: tensor "${name}", ${dtype} of shape ${show(shape)}, takes ${end - begin} bytes; got ${view.byteLength}.`,
      );
    }
    await append(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  }
  return { bytes: total, sha256: hash.digest('hex') };
}

/** An open safetensors file whose tensors are read one by one. */
export class Safetensors {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: OpenFile;
  readonly #dataStart: number;

  private constructor(path: string, file: OpenFile, { entries, metadata }: Header, dataStart: number) {
    this.path = path;
    this.entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.metadata = metadata;
    this.#file = file;
    this.#dataStart = dataStart;
  }

  /**
   * Reads and checks the header. `verify` may look at the file before that; whatever it throws is thrown.
   *
   * @throws FormatError for a file that is missing, unreadable, or breaks any rule of the format.
   */
  static async open(
    path: string,
    files: Files = nodeFiles,
    verify?: (file: OpenFile) => Promise<void>,
  ): Promise<Safetensors> {
    const who = `safetensors "${path}"`;
    let file: OpenFile;
    try {
      file = await files.open(path, 'read');
    } catch (error) {
      throw new FormatError(`${who} cannot be opened (${reasonOf(error)}).`, { cause: error });
    }
    try {
      await verify?.(file);
      const { header, dataStart } = await readHeader(who, file);
      return new Safetensors(path, file, header, dataStart);
    } catch (error) {
      await file.close();
      // what the system says of a folder or a failing disk
      if (codeOf(error) === '') throw error;
      throw new FormatError(`${who} cannot be read (${reasonOf(error)}).`, { cause: error });
    }
  }

  /**
   * The stored bits of one tensor, in memory of their own; `decode` of core/dtype makes numbers of them.
   *
   * @throws OptionError for a name the file does not have.
   */
  async read(name: string): Promise<Uint8Array> {
    const entry = this.entries.get(name);
    if (entry === undefined) {
      const known = [...this.entries.keys()];
      const guess = nearest(name, known);
      const hint = guess === undefined ? `it has ${known.length} tensors` : `did you mean "${guess}"?`;
      throw new OptionError(`safetensors "${this.path}" has no tensor "${name}" (${hint}).`);
    }
    const bytes = new Uint8Array(entry.end - entry.begin);
    await fill(`safetensors "${this.path}"`, this.#file, bytes, this.#dataStart + entry.begin);
    return bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function readHeader(who: string, file: OpenFile): Promise<{ header: Header; dataStart: number }> {
  const size = await file.size();
  if (size < PREFIX)
    throw new FormatError(`${who}: ${size} bytes are too short for the header's length, which takes 8.`);
  const prefix = new Uint8Array(PREFIX);
  await fill(who, file, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > LONGEST_HEADER) {
    throw new FormatError(`${who}: a header of ${length} bytes is more than the format's ${LONGEST_HEADER}.`);
  }
  const dataStart = PREFIX + Number(length);
  if (dataStart > size) {
    throw new FormatError(`${who}: the header should end at byte ${dataStart}, but the file has ${size} bytes.`);
  }
  const bytes = new Uint8Array(Number(length));
  await fill(who, file, bytes, PREFIX);
  return { header: parseHeader(who, bytes, size - dataStart), dataStart };
}

async function fill(who: string, file: OpenFile, into: Uint8Array, position: number): Promise<void> {
  const read = await file.read(into, position);
  if (read !== into.length) {
    throw new FormatError(`${who}: ended at byte ${position + read} while it was read; do not change it meanwhile.`);
  }
}
