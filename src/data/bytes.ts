import type { TokenSource } from './tokens.js';

/** Bytes that are at hand, as a text of one document. */
export const bytesSource = (name: string, bytes: Uint8Array): TokenSource => ({
  size: bytes.length,
  vocabulary: 256,
  unit: 'byte',
  bytesPerToken: 1,
  documents: [{ path: name, start: 0, length: bytes.length }],
  documentAt: () => 0,
  read: (position, into) => into.set(bytes.subarray(position, position + into.length)),
});
