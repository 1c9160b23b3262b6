import { checkValue, type Requirement } from '../../core/requirements.js';

/** Bytes that are read at any place: of a file, or in memory. */
export interface ByteSource {
  /** Fills `into` with what lies at `position`; returns how many bytes there were. */
  read(into: Uint8Array, position: number): Promise<number>;
  size(): Promise<number>;
  close(): Promise<void>;
}

const someBytes: Requirement = {
  must: 'an ArrayBuffer or a Uint8Array',
  holds: (value) => value instanceof ArrayBuffer || value instanceof Uint8Array,
};

/** Bytes that are there already; they are not copied. */
export function inMemory(content: ArrayBuffer | Uint8Array): ByteSource {
  checkValue('inMemory', 'content', content, someBytes);
  const bytes = content instanceof Uint8Array ? content : new Uint8Array(content);
  return {
    read: async (into, position) => {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    size: async () => bytes.length,
    close: async () => undefined,
  };
}
