import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Temporaries } from '../../../src/core/files/temporaries.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'subquad-temporaries-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const touch = (path: string) => (): void => writeFileSync(path, '');

test('what is held is removed, files and folders; what was let go stays', () => {
  const all = new Temporaries();
  const [file, kept, tree] = ['file', 'kept', 'tree'].map((name) => join(folder, name)) as [string, string, string];
  all.hold(file, touch(file));
  all.hold(kept, touch(kept))();
  all.hold(tree, () => {
    mkdirSync(tree);
    touch(join(tree, 'é'))();
  });
  // the same memory in another thread
  new Temporaries(all.memory).removeAll();
  expect(readdirSync(folder)).toEqual(['kept']);
});

test('what cannot be made is not held', () => {
  const all = new Temporaries();
  const path = join(folder, 'there');
  touch(path)();
  expect(() =>
    all.hold(path, () => {
      throw new Error('no');
    }),
  ).toThrow('no');
  all.removeAll();
  expect(existsSync(path)).toBe(true);
});

test('places are used again, and more than there are do no harm', () => {
  const all = new Temporaries();
  for (let i = 0; i < 100; i++) all.hold(join(folder, 'again'), touch(join(folder, 'again')))();
  for (let i = 0; i < 40; i++) all.hold(join(folder, `${i}`), touch(join(folder, `${i}`)));
  all.removeAll();
  expect(readdirSync(folder)).toHaveLength(40 - 32 + 1);
});

test('once all are removed none is made: a thread that wants one waits for the end of its process', async () => {
  const all = new Temporaries();
  all.removeAll();
  const worker = new Worker(
    `const { workerData: { memory, path }, parentPort } = require('node:worker_threads');
     const lock = new Int32Array(memory, 0, 1);
     parentPort.postMessage(Atomics.compareExchange(lock, 0, 0, 1));`,
    { eval: true, workerData: { memory: all.memory, path: folder } },
  );
  expect(await new Promise((resolve) => worker.once('message', resolve))).toBe(2);
});
