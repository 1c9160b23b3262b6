import { crc32, deflateSync } from 'node:zlib';
import type { Grid } from '../../report/picture/grid.js';
import { colour } from '../../report/picture/svg.js';

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** The picture as a PNG file of 8-bit colours, cells enlarged to about 512 pixels a side. */
export function png({ rows, columns, shades }: Grid): Uint8Array {
  const cell = Math.max(1, Math.floor(512 / rows));
  const [width, height] = [columns * cell, rows * cell];
  // each line begins with its filter, 0 for none
  const stride = 1 + 3 * width;
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const shade = shades[Math.floor(y / cell) * columns + Math.floor(x / cell)]!;
      pixels.set(colour(shade), y * stride + 1 + 3 * x);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const parts = [signature, chunk('IHDR', header), chunk('IDAT', deflateSync(pixels)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat(parts);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(8 + body.length);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), 4 + body.length);
  return out;
}
