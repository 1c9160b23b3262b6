import { FormatError } from '../core/errors.js';
import { inMemory, Safetensors, type ByteSource } from '../train/checkpoint/index.js';
import type { ModelSource } from './model-source.js';

/** Bytes of a range that is asked for, so that many small tensors are few requests. */
const BLOCK = 2 ** 22;
/** Blocks that are kept: the tensors of a part of the map may lie in several places. */
const KEPT = 4;

export interface UrlSourceOptions {
  /** Told of the bytes that came, file by file. */
  readonly onProgress?:
    ((progress: { readonly file: string; readonly loaded: number; readonly total: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Files under an address, weights by ranges: only what is read is fetched. For pages as for Node. */
export function urlSource(base: URL, { onProgress, signal }: UrlSourceOptions = {}): ModelSource {
  const root = new URL(base.href.endsWith('/') ? base.href : `${base.href}/`);
  const at = (file: string): URL => Object.assign(new URL(file, root), { search: root.search });
  const ask = async (file: string, headers: Readonly<Record<string, string>> = {}): Promise<Response | undefined> => {
    const url = at(file);
    let answer: Response;
    try {
      answer = await fetch(url, { headers, ...(signal && { signal }) });
    } catch (error) {
      if (signal?.aborted) throw error;
      const { message, cause } = error as Error;
      throw new FormatError(
        `loadPretrained: "${url.href}" cannot be fetched (${cause instanceof Error ? cause.message : message}).`,
        { cause: error },
      );
    }
    if (answer.status === 404) return undefined;
    if (answer.ok) return answer;
    throw new FormatError(`loadPretrained: "${url.href}" cannot be fetched (status ${answer.status}).`);
  };
  const texts = new Map<string, Promise<string | undefined>>();
  return {
    name: root.href,
    text: (file) => {
      const known = texts.get(file) ?? ask(file).then((answer) => answer?.text());
      texts.set(file, known);
      return known;
    },
    has: async (file) => {
      const answer = await ask(file, { range: 'bytes=0-0' });
      await answer?.body?.cancel();
      return answer !== undefined;
    },
    weights: async (file) => {
      const name = at(file).href;
      const bytes = await rangesOf(
        name,
        (headers) => ask(file, headers),
        (loaded, total) => onProgress?.({ file, loaded, total }),
      );
      return Safetensors.open(bytes, name);
    },
  };
}

/** A file by ranges; whole, where the host gives none. */
async function rangesOf(
  name: string,
  ask: (headers: Readonly<Record<string, string>>) => Promise<Response | undefined>,
  onBytes: (loaded: number, total: number) => void,
): Promise<ByteSource> {
  const range = async (
    from: number,
    to: number,
  ): Promise<{ readonly bytes: Uint8Array; readonly total: number } | undefined> => {
    const answer = await ask({ range: `bytes=${from}-${to - 1}` });
    if (answer === undefined) throw new FormatError(`loadPretrained: "${name}" is not there (status 404).`);
    const bytes = new Uint8Array(
      await answer.arrayBuffer().catch((error: unknown) => {
        throw new FormatError(`loadPretrained: "${name}" broke off while it was fetched; try again.`, { cause: error });
      }),
    );
    if (answer.status !== 206) return { bytes, total: NaN };
    const total = Number(/\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')?.[1]);
    return { bytes, total };
  };
  const first = (await range(0, BLOCK))!;
  if (Number.isNaN(first.total)) {
    // the host has sent all of it
    onBytes(first.bytes.length, first.bytes.length);
    return inMemory(first.bytes);
  }
  const { total } = first;
  let loaded = first.bytes.length;
  onBytes(loaded, total);
  const blocks = new Map<number, Promise<Uint8Array>>([[0, Promise.resolve(first.bytes)]]);
  const block = (index: number): Promise<Uint8Array> => {
    const known = blocks.get(index);
    // the latest stands last
    if (known !== undefined) blocks.delete(index);
    const bytes = known ?? fetched(index * BLOCK, Math.min(total, (index + 1) * BLOCK));
    blocks.set(index, bytes);
    if (blocks.size > KEPT) blocks.delete([...blocks.keys()][0]!);
    return bytes;
  };
  const fetched = async (from: number, to: number): Promise<Uint8Array> => {
    const found = (await range(from, to))!;
    if (found.total !== total || found.bytes.length !== to - from) {
      throw new FormatError(
        `loadPretrained: "${name}" changed while it was read: its host gave other bytes than asked for.`,
      );
    }
    loaded += to - from;
    onBytes(Math.min(loaded, total), total);
    return found.bytes;
  };
  return {
    size: async () => total,
    close: async () => blocks.clear(),
    async read(into, position) {
      const end = Math.min(total, position + into.length);
      for (let done = position; done < end;) {
        const index = Math.floor(done / BLOCK);
        const bytes = (await block(index)).subarray(done - index * BLOCK, end - index * BLOCK);
        into.set(bytes, done - position);
        done += bytes.length;
      }
      return Math.max(0, end - position);
    },
  };
}
