import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.js';
import { differences } from '../../src/train/differences.js';
import { type Metric, MetricsFile, parseMetrics } from '../../src/train/metrics.js';
import { temporaryFolder } from '../data/folder.js';

const stop = (step: number): Metric => ({ kind: 'stop', step, time: '', elapsed: step, reason: 'finished' });

test('records are lines of JSON; a half-written last one is left out', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  const file = new MetricsFile(path);
  expect(file.read()).toEqual([]);
  for (const step of [1, 2, 3]) file.append(stop(step));
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
  expect(file.read()).toEqual([1, 2, 3].map(stop));
  for (const half of ['{"kind":"st', JSON.stringify(stop(4))]) {
    appendFileSync(path, half);
    expect(file.read()).toEqual([1, 2, 3].map(stop));
    // the next record is on a line of its own again
    expect(file.cutBack(2)).toEqual([1, 2].map(stop));
    file.append(stop(3));
    expect(file.read()).toEqual([1, 2, 3].map(stop));
  }
});

test('a line that is no record is named', () => {
  for (const line of ['', '7', 'null', '{"kind":"other"}', '{"step":1}', 'kind']) {
    const text = `${JSON.stringify(stop(1))}\n${line}\n`;
    expect(() => parseMetrics(text)).toThrow(FormatError);
    expect(() => parseMetrics(text)).toThrow('metrics: line 2 is no record of training');
  }
});

test('a path that cannot be written or read', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'metrics.jsonl'));
  const file = new MetricsFile(join(folder, 'metrics.jsonl'));
  expect(() => file.append(stop(1))).toThrow('metrics.jsonl" cannot be written (it is a folder)');
  expect(() => file.read()).toThrow('metrics.jsonl" cannot be read (it is a folder)');
  writeFileSync(join(folder, 'file'), '');
  expect(() => new MetricsFile(join(folder, 'file', 'x')).append(stop(1))).toThrow(FormatError);
});

test('differences are named by their place', () => {
  const before = { a: 1, b: { c: [1, 2], d: 'x', e: null }, f: true };
  expect(differences(before, structuredClone(before))).toEqual([]);
  expect(differences(before, { a: 1, b: { c: [1, 3], d: 'x' }, f: 'true', g: 0 })).toEqual([
    'b.c was [1,2], is [1,3]',
    'b.e was null, is absent',
    'f was true, is "true"',
    'g was absent, is 0',
  ]);
  expect(differences({ a: 1 }, [1], 'data')).toEqual(['data was {"a":1}, is [1]']);
});
