import { nodeModule } from '../../core/node.js';
import type { ByteSource } from './bytes.js';
import { BLOCK } from './write-safetensors.js';

/**
 * SHA-256 of all bytes, in hexadecimal digits. Undefined in a page that is not a secure context: browsers give such a page no hash.
 */
export async function sha256Of(source: ByteSource, size: number): Promise<string | undefined> {
  const node = nodeModule('node:crypto');
  const block = new Uint8Array(node === undefined ? size : Math.min(BLOCK, size));
  if (node === undefined) {
    const { subtle } = globalThis.crypto as { readonly subtle?: typeof globalThis.crypto.subtle };
    await source.read(block, 0);
    const digest = await subtle?.digest('SHA-256', block);
    return digest && Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  const hash = node.createHash('sha256');
  for (let at = 0; at < size;) {
    const read = await source.read(block, at);
    if (read === 0) break;
    hash.update(block.subarray(0, read));
    at += read;
  }
  return hash.digest('hex');
}
