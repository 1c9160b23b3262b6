import { FormatError } from '../../core/errors.js';
import { requireNode } from '../../core/node.js';
import type { Examples } from './examples.js';
import { readExamples } from './read-file.js';

const { gunzipSync } = requireNode('node:zlib');

/** A tensor of bytes. */
interface Idx {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Unsigned bytes of an IDX file, plain or gzip: two zero bytes, the type 8, the number of extents, each as a big-endian word, then the data.
 * (LeCun, Cortes, Burges, "The MNIST database of handwritten digits".)
 *
 * @throws FormatError for a file that is none, or holds more or less than its extents say.
 */
export function readIdx(path: string, rank: number): Idx {
  const wrong = (why: string): FormatError =>
    new FormatError(
      `labels: "${path}" is no IDX file of ${rank === 1 ? 'labels' : 'images'} (${why}); name one such as MNIST's.`,
    );
  let bytes = readExamples(path);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      const whole = gunzipSync(bytes);
      bytes = new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength);
    } catch {
      throw wrong('its gzip stream is damaged');
    }
  }
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0) throw wrong('it does not begin with two zero bytes');
  if (bytes[2] !== 8) throw wrong(`its numbers are of type ${bytes[2]}, not unsigned bytes`);
  if (bytes[3] !== rank) throw wrong(`it has ${bytes[3]} extents in place of ${rank}`);
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw wrong('it ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length - start !== size)
    throw wrong(`${shape.join(' × ')} bytes are ${size}; it holds ${bytes.length - start}`);
  if (size === 0) throw wrong('it is empty');
  return { shape, data: bytes.subarray(start) };
}

/**
 * Images as sequences of their pixels, row by row, a byte each; classes are the numbers of the labels.
 *
 * @throws FormatError for files that are none, or of another number.
 */
export function readImages(images: string, labels: string): Examples {
  const pixels = readIdx(images, 3);
  const numbers = readIdx(labels, 1);
  const [count, height, width] = pixels.shape as [number, number, number];
  if (count !== numbers.shape[0]) {
    throw new FormatError(
      `labels: "${images}" has ${count} images and "${labels}" ${numbers.shape[0]} labels; name two files that belong together.`,
    );
  }
  const starts = Float64Array.from({ length: count + 1 }, (_, i) => i * height * width);
  return { tokens: pixels.data, starts, labels: Int32Array.from(numbers.data) };
}
