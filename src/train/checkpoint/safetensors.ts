import { FormatError, OptionError } from '../../core/errors.js';
import { unknown } from '../../core/names.js';
import { checkValue, having, made, text, wholeFrom } from '../../core/requirements.js';
import { type ByteSource, inMemory } from './bytes.js';
import { type Header, LONGEST_HEADER, parseHeader, PREFIX, type TensorEntry } from './header.js';

/**
 * The safetensors format (Hugging Face, 2022): 8 bytes, the length of the header as a little-endian integer; the header, a JSON
 * object `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …}` that may also hold texts under
 * `__metadata__`; then the bytes of all tensors, little-endian, row-major, without gaps.
 */

/** A safetensors file, anywhere bytes are, whose tensors are read one by one. */
export class Safetensors {
  /** What errors call it: a path, a URL. */
  readonly name: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #source: ByteSource;
  readonly #dataStart: number;

  private constructor(name: string, source: ByteSource, { entries, metadata }: Header, dataStart: number) {
    this.name = name;
    this.entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.metadata = metadata;
    this.#source = source;
    this.#dataStart = dataStart;
  }

  /**
   * Reads and checks the header. The source belongs to the file from then on, which closes it; where the header is refused it is
   * closed at once.
   *
   * ```ts
   * const file = await Safetensors.open(await response.arrayBuffer(), 'model.safetensors');
   * ```
   *
   * @throws FormatError for bytes that break any rule of the format.
   */
  static async open(bytes: ByteSource | ArrayBuffer | Uint8Array, name = 'in memory'): Promise<Safetensors> {
    const source = bytes instanceof ArrayBuffer || bytes instanceof Uint8Array ? inMemory(bytes) : bytes;
    checkValue(
      'Safetensors.open',
      'bytes',
      source,
      having('an ArrayBuffer, a Uint8Array or a source', 'read', 'size', 'close'),
    );
    checkValue('Safetensors.open', 'name', name, text);
    try {
      const { header, dataStart } = await readHeader(`safetensors "${name}"`, source);
      return new Safetensors(name, source, header, dataStart);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * The stored bits of one tensor, in memory of their own; `decode` of core/dtype makes numbers of them.
   *
   * @throws OptionError for a name the file does not have.
   */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    checkValue('Safetensors.read', 'name', name, text);
    const { begin, end } = this.#entry(name);
    const bytes = new Uint8Array(end - begin);
    await this.readInto(name, bytes);
    return bytes;
  }

  /**
   * The stored bits of a part of one tensor, from its byte `from` on: as many as `into` takes.
   *
   * @throws OptionError for a name the file does not have, or bytes beyond the tensor.
   */
  async readInto(name: string, into: Uint8Array, from = 0): Promise<void> {
    checkValue('Safetensors.readInto', 'name', name, text);
    checkValue('Safetensors.readInto', 'into', into, made('a Uint8Array', Uint8Array));
    checkValue('Safetensors.readInto', 'from', from, wholeFrom(0));
    const { begin, end } = this.#entry(name);
    if (begin + from + into.length > end) {
      throw new OptionError(
        `safetensors "${this.name}": ${name} has ${end - begin} bytes; got ${into.length} from byte ${from} on.`,
      );
    }
    await fill(`safetensors "${this.name}"`, this.#source, into, this.#dataStart + begin + from);
  }

  #entry(name: string): TensorEntry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    const known = [...this.entries.keys()];
    const reason = unknown('tensor', [name], known, `it has ${known.length} tensors`);
    throw new OptionError(`safetensors "${this.name}": ${reason}.`);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

async function readHeader(who: string, source: ByteSource): Promise<{ header: Header; dataStart: number }> {
  const size = await source.size();
  if (size < PREFIX)
    throw new FormatError(`${who}: ${size} bytes are too short for the header's length, which takes 8.`);
  const prefix = new Uint8Array(PREFIX);
  await fill(who, source, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > LONGEST_HEADER) {
    throw new FormatError(`${who}: a header of ${length} bytes is more than the format's ${LONGEST_HEADER}.`);
  }
  const dataStart = PREFIX + Number(length);
  if (dataStart > size) {
    throw new FormatError(`${who}: the header should end at byte ${dataStart}, but the file has ${size} bytes.`);
  }
  const bytes = new Uint8Array(Number(length));
  await fill(who, source, bytes, PREFIX);
  return { header: parseHeader(who, bytes, size - dataStart), dataStart };
}

async function fill(who: string, source: ByteSource, into: Uint8Array, position: number): Promise<void> {
  const read = await source.read(into, position);
  if (read !== into.length) {
    throw new FormatError(`${who}: ended at byte ${position + read} while it was read; do not change it meanwhile.`);
  }
}
