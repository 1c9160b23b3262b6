import type { Dtype } from '../../core/dtype.js';
import { describe } from '../../core/describe.js';
import { OptionError } from '../../core/errors.js';
import { requireNode } from '../../core/node.js';
import {
  anything,
  checkValue,
  having,
  plainObject,
  reasonsAgainst,
  refuse,
  type Requirement,
} from '../../core/requirements.js';
import { show } from '../../core/shape.js';
import type { OpenFile } from './files.js';
import { layOut } from './header.js';

const { createHash } = requireNode('node:crypto');

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

const bits: Requirement = {
  must: 'a view of a buffer, or a function that gives one',
  holds: (value) => ArrayBuffer.isView(value) || typeof value === 'function',
};

/** @throws OptionError naming all that are no tensors to be written. */
export function checkSources(who: string, tensors: TensorSources): void {
  checkValue(who, 'tensors', tensors, plainObject);
  // dtype and shape are looked at when the file is laid out
  const wanted = { dtype: anything, shape: anything, bytes: bits };
  const all = Object.entries(tensors).flatMap(([name, source]) =>
    reasonsAgainst(source, wanted, Object.keys(wanted)).map((reason) => `tensor "${name}": ${reason}`),
  );
  refuse(who, all);
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
  checkValue(who, 'file', file, having('a file', 'write'));
  checkSources(who, tensors);
  checkValue(who, 'metadata', metadata, plainObject);
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
    if (!ArrayBuffer.isView(view)) {
      throw new OptionError(`${who}: tensor "${name}": bytes must be a view of a buffer; got ${describe(view)}.`);
    }
    if (view.byteLength !== end - begin) {
      throw new OptionError(
        `${who}: tensor "${name}", ${dtype} of shape ${show(shape)}, takes ${end - begin} bytes; got ${view.byteLength}.`,
      );
    }
    await append(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  }
  return { bytes: total, sha256: hash.digest('hex') };
}
