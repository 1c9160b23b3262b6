// of train/checkpoint/{bytes,digest,open-safetensors,state,write-safetensors}

import { copyFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../../src/core/errors.js';
import {
  type Files,
  type Json,
  loadCheckpoint,
  nodeFiles,
  saveCheckpoint,
} from '../../../src/train/checkpoint/index.js';
import { formatManifest, type Manifest } from '../../../src/train/checkpoint/manifest.js';
import { temporaryFolder } from '../../data/folder.js';
import { MemoryFiles } from './memory-files.js';

/** A training run at `step`: what the state says must be what the tensor holds. */
const at = (step: number): Parameters<typeof saveCheckpoint>[1] => ({
  tensors: { w: { dtype: 'f32', shape: [3], bytes: Float32Array.of(step, -step, NaN) } },
  state: { step, rate: 0.1, schedule: ['warm-up', { '2': null, '1': true }] },
});

/** The step of the checkpoint of a folder, after every part of it was compared. */
async function stepOf(folder: string, files: Files = nodeFiles): Promise<number> {
  const { tensors, state } = await loadCheckpoint(folder, files);
  const bytes = await tensors.read('w');
  await tensors.close();
  const [step] = new Float32Array(bytes.buffer);
  expect(state).toEqual(at(step!).state);
  return step!;
}

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => {
      expect(error).toBeInstanceOf(FormatError);
      return (error as Error).message;
    },
  );

describe('saving and loading', () => {
  test('the last save is loaded, and the folder holds nothing else', async () => {
    const folder = join(temporaryFolder(), 'new', 'run');
    for (const step of [1, 2, 2, 1]) {
      await saveCheckpoint(folder, at(step));
      expect(await stepOf(folder)).toBe(step);
      expect(readdirSync(folder)).toHaveLength(2);
    }
  });

  test('files of others stay', async () => {
    const folder = temporaryFolder();
    for (const name of ['notes.part', 'tensors-mine.safetensors', '.hidden']) writeFileSync(join(folder, name), '');
    await saveCheckpoint(folder, at(1));
    await saveCheckpoint(folder, at(2));
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(['notes.part', 'tensors-mine.safetensors', '.hidden']));
  });

  test('a checkpoint without tensors, and one that was copied elsewhere', async () => {
    const folder = temporaryFolder();
    await saveCheckpoint(folder, { tensors: {}, state: [] });
    const copy = temporaryFolder();
    for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(copy, name));
    const { tensors, state } = await loadCheckpoint(copy);
    await tensors.close();
    expect([tensors.entries.size, state]).toEqual([0, []]);
  });

  test('a state that JSON would change is refused, every place at once', async () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    const state = { a: NaN, b: [1, undefined], c: { d: new Float32Array(1) }, e: 1n, f: new Map(), loop };
    const refused = saveCheckpoint(temporaryFolder(), { tensors: {}, state: state as unknown as Json });
    await expect(refused).rejects.toThrow(OptionError);
    await expect(refused).rejects.toThrow(
      'saveCheckpoint: JSON cannot hold state.a (NaN), state.b[1] (undefined), state.c.d (Float32Array), state.e (bigint), ' +
        'state.f (Map), state.loop.self (it contains itself);',
    );
  });

  test('an error of a tensor is passed on, and the old checkpoint stays', async () => {
    const folder = temporaryFolder();
    await saveCheckpoint(folder, at(1));
    const bytes = (): never => {
      throw new RangeError('the device is lost');
    };
    const { state } = at(2);
    await expect(
      saveCheckpoint(folder, { tensors: { w: { dtype: 'f32', shape: [3], bytes } }, state }),
    ).rejects.toThrow('the device is lost');
    expect(await stepOf(folder)).toBe(1);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});

describe('whatever stops a save, a whole checkpoint is left', () => {
  /** A folder with a checkpoint at step 1, the operations that saving step 2 takes, and one stopped before number `failAt`. */
  async function stopped(failAt: number, failure?: Error): Promise<{ files: MemoryFiles; error: unknown }> {
    const files = new MemoryFiles();
    await saveCheckpoint('run', at(1), files);
    files.operations = 0;
    files.failAt = failAt;
    files.failure = failure;
    const error: unknown = await saveCheckpoint('run', at(2), files).catch((error: unknown) => error);
    return { files, error };
  }
  const steps = async (folders: Iterable<MemoryFiles>): Promise<number[]> => {
    const found = new Set<number>();
    for (const files of folders) found.add(await stepOf('run', files));
    return [...found].sort((a, b) => a - b);
  };

  test('a kill before any operation', async () => {
    const { files: whole } = await stopped(Infinity);
    const total = whole.operations;
    expect(total).toBeGreaterThan(12);
    const seen: number[] = [];
    for (let failAt = 0; failAt <= total; failAt++) {
      const { files } = await stopped(failAt);
      const [step] = await steps([files.afterKill()]);
      seen.push(step!);
      // the next run saves as if nothing had been, and cleans up
      const next = files.afterKill();
      await saveCheckpoint('run', at(3), next);
      expect(await stepOf('run', next)).toBe(3);
      expect(next.names.size).toBe(2);
    }
    // the old one up to some moment, the new one from there on
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen)).toEqual(new Set([1, 2]));
  });

  test('a loss of power before any operation, whichever names reached the disk', async () => {
    const { files: whole } = await stopped(Infinity);
    for (let failAt = 0; failAt < whole.operations; failAt++) {
      const { files } = await stopped(failAt);
      for (const step of await steps(files.afterPowerLoss())) expect([1, 2]).toContain(step);
    }
  });

  test('what save returned from is there after a loss of power', async () => {
    const { files, error } = await stopped(Infinity);
    expect(error).toBeUndefined();
    expect(await steps(files.afterPowerLoss())).toEqual([2]);
  });

  test('a disk that is full at any operation: an error that says so, nothing left behind', async () => {
    const { files: whole } = await stopped(Infinity);
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    const messages = new Set<string>();
    for (let failAt = 0; failAt < whole.operations; failAt++) {
      const { files, error } = await stopped(failAt, full);
      if (error !== undefined) {
        expect(error).toBeInstanceOf(FormatError);
        messages.add((error as Error).message);
      }
      files.failAt = Infinity;
      const untouched = error instanceof Error && error.message.includes('untouched');
      expect(await stepOf('run', files)).toBe(untouched ? 1 : 2);
      if (untouched) expect(files.names.size).toBe(2);
    }
    expect([...messages]).toEqual([
      'saveCheckpoint: "run" cannot be written (the disk is full); what was saved there before is untouched.',
      'saveCheckpoint: "run" cannot be written (the disk is full); the new checkpoint is in place, but may not survive a loss of power.',
    ]);
  });

  test('the first save that fails leaves an empty folder', async () => {
    for (let failAt = 0; ; failAt++) {
      const files = new MemoryFiles();
      files.failAt = failAt;
      files.failure = Object.assign(new Error('no space'), { code: 'ENOSPC' });
      const error: unknown = await saveCheckpoint('run', at(1), files).catch((error: unknown) => error);
      // the manifest is there: from here on the checkpoint is
      if (files.names.has('checkpoint.json')) break;
      expect(String(error)).toContain('the disk is full');
      expect(files.names.size).toBe(0);
    }
  });

  test('a save between the two reads of a load', async () => {
    const files = new MemoryFiles();
    await saveCheckpoint('run', at(1), files);
    let opened = 0;
    const open: Files['open'] = async (path, mode) => {
      // the manifest of step 1 has been read; its tensors are gone before they are opened
      if (++opened === 2) await saveCheckpoint('run', at(2), files);
      return files.open(path, mode);
    };
    expect(await stepOf('run', { ...bound(files), open })).toBe(2);
  });

  const bound = (files: MemoryFiles): Files => ({
    open: (path, mode) => files.open(path, mode),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    list: () => files.list(),
    makeFolder: () => files.makeFolder(),
    syncFolder: () => files.syncFolder(),
  });
});

describe('damage is named', () => {
  async function damaged(damage: (folder: string, tensors: string, manifest: string) => void): Promise<string> {
    const folder = temporaryFolder();
    await saveCheckpoint(folder, at(1));
    const name = readdirSync(folder).find((name) => name.startsWith('tensors-'))!;
    damage(folder, join(folder, name), join(folder, 'checkpoint.json'));
    return (await messageOf(loadCheckpoint(folder))).replaceAll(folder, 'run').replaceAll(name, 'TENSORS');
  }
  const edit = (path: string, change: (text: string) => string): void =>
    writeFileSync(path, change(readFileSync(path, 'latin1')), 'latin1');

  test.each<[string, Parameters<typeof damaged>[0], string]>([
    ['no tensors', (_, tensors) => rmSync(tensors), '"run/TENSORS" is missing; put it back'],
    ['tensors cut', (_, tensors) => truncateSync(tensors, 60), '"run/TENSORS" was cut short (60 bytes of '],
    ['tensors longer', (_, tensors) => edit(tensors, (text) => `${text}x`), '"run/TENSORS" is too long ('],
    [
      'a bit of the tensors',
      (_, tensors) => edit(tensors, (text) => `${text.slice(0, -1)}\u0001`),
      '"run/TENSORS" was changed after it was saved (its SHA-256 is another); restore',
    ],
    ['no manifest', (_, __, manifest) => rmSync(manifest), 'there is no checkpoint in "run" (no checkpoint.json)'],
    [
      'manifest cut',
      (_, __, manifest) => truncateSync(manifest, 100),
      '"run/checkpoint.json" is damaged (it is not JSON: cut short, or changed); restore',
    ],
    ['manifest empty', (_, __, manifest) => truncateSync(manifest, 0), 'is damaged (it is not JSON'],
    [
      'state changed',
      (_, __, manifest) => edit(manifest, (text) => text.replace('0.1', '0.2')),
      '"run/checkpoint.json" is damaged (it does not have its checksum',
    ],
    [
      'newer version',
      (_, __, manifest) => edit(manifest, (text) => text.replace('"version": 1', '"version": 2')),
      '"run/checkpoint.json" has version 2, this program reads 1; use the program that wrote it.',
    ],
    ['other JSON', (_, __, manifest) => writeFileSync(manifest, '[]'), 'is not a checkpoint of subquad'],
    ['null', (_, __, manifest) => writeFileSync(manifest, 'null'), 'is not a checkpoint of subquad'],
  ])('%s', async (_, damage, message) => {
    expect(await damaged(damage)).toContain(message);
  });

  test('a name that leads out of the folder, whatever the checksum', async () => {
    for (const file of ['../tensors-0123456789abcdef0123456789abcdef.safetensors', '', undefined]) {
      const content = { tensors: { file, bytes: 8, sha256: '' }, state: null } as unknown as Manifest;
      const message = await damaged((_, __, manifest) => writeFileSync(manifest, formatManifest(content)));
      expect(message).toContain('it does not name its tensor file');
    }
  });

  test('a folder that is none', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    writeFileSync(path, '');
    expect(await messageOf(loadCheckpoint(join(folder, 'nowhere')))).toContain('there is no checkpoint in');
    expect(await messageOf(loadCheckpoint(path))).toContain('a part of its path is not a folder');
    expect(await messageOf(saveCheckpoint(join(path, 'run'), at(1)))).toContain('a part of its path is not a folder');
  });
});
