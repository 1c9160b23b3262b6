import { FormatError } from '../../core/errors.js';
import { readWhole } from '../../core/files/read.js';
import { reasonOf } from '../../core/system-errors.js';

/** Bytes of a file of examples, which memory has to hold. */
const LONGEST = 2 ** 31 - 1;

/** All bytes of a file of examples. @throws FormatError that names it. */
export function readExamples(path: string): Uint8Array {
  try {
    const bytes = readWhole(path, LONGEST);
    if (bytes.length > 0) return bytes;
  } catch (error) {
    throw new FormatError(`labels: "${path}" cannot be read (${reasonOf(error)}); name a file of examples.`);
  }
  throw new FormatError(`labels: "${path}" is empty; name a file of examples.`);
}
