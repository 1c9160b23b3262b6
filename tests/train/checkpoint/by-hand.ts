/** Length of the header, header, data: a file by the format's public description. */
export function byHand(header: string | Uint8Array, data: ArrayLike<number> = []): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Uint8Array.from(data)]);
}
