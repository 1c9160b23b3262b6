// of data/tasks/{copy,needle,recall}

import { describe, expect, test } from 'vitest';
import { OptionError } from '../../../src/core/errors.js';
import { evaluateListOps, type Sample, taskBatch, taskOf, tasks } from '../../../src/data/index.js';

const textOf = (bytes: ArrayLike<number>): string => String.fromCharCode(...Array.from(bytes));
const questionOf = ({ tokens, answerAt }: Sample): string => textOf(tokens.subarray(0, answerAt + 1)).trimStart();
const answerOf = ({ targets, answerAt }: Sample): string => textOf(targets.subarray(answerAt));

/** The answer found by reading the question alone. */
const solve: Readonly<Record<string, (question: string) => string>> = {
  copy: (question) => question.slice(0, -1),
  recall: (question) => {
    const [pairs = '', key = ''] = question.split('?');
    const found = pairs.split(' ').filter((pair) => pair.slice(0, -1) === key);
    expect(found).toHaveLength(1);
    return found[0]!.at(-1)!;
  },
  needle: (question) => /secret number is (\d{5})\.\n[^]*The secret number is $/.exec(question)![1]!,
  listops: (question) => String(evaluateListOps(question.replace('=', ''))),
};

describe.each(Object.values(tasks))('$name', (task) => {
  const lengths = [task.shortest, task.shortest + 1, task.shortest + 2, 100, 257, 3000].filter(
    (length) => length >= task.shortest,
  );

  test('the answer follows from the question, at any length', () => {
    for (const length of lengths) {
      for (let index = 0; index < 20; index++) {
        const sample = task.sample(3, index, length);
        expect([sample.tokens.length, sample.targets.length]).toEqual([length, length]);
        expect(answerOf(sample)).toBe(solve[task.name]!(questionOf(sample)));
      }
    }
  });

  test('targets are the next tokens where it is asked, −100 elsewhere', () => {
    const { tokens, targets, answerAt } = task.sample(1, 2, 100);
    expect(targets.subarray(0, answerAt).every((target) => target === -100)).toBe(true);
    expect([...targets.subarray(answerAt, 99)]).toEqual([...tokens.subarray(answerAt + 1)]);
    expect([...tokens, targets[99]!].every((token) => token >= 0x0a && token < 0x80)).toBe(true);
  });

  test('a sample follows from seed, index and length', () => {
    const key = (seed: number, index: number): string => String(task.sample(seed, index, 200).tokens);
    expect(key(1, 5)).toBe(key(1, 5));
    expect(new Set([key(1, 5), key(1, 6), key(2, 5), key(2, 6)]).size).toBe(4);
  });

  test('refusals', () => {
    expect(() => task.sample(0, 0, task.shortest - 1)).toThrow(`length must be a whole number from ${task.shortest}`);
    for (const index of [-1, 0.5, NaN]) expect(() => task.sample(0, index, 100)).toThrow(OptionError);
    expect(() => task.sample(-1, 0, 100)).toThrow('seed must be');
    expect(() => task.sample(0, 0, 100, { deep: 1 } as object)).toThrow(OptionError);
  });
});

describe('what each task is', () => {
  test('copy has as many letters as there is room for', () => {
    expect(answerOf(tasks['copy']!.sample(0, 0, 64))).toHaveLength(32);
    expect(answerOf(tasks['copy']!.sample(0, 0, 65))).toHaveLength(32);
    expect(tasks['copy']!.sample(0, 0, 64).answerAt).toBe(32);
  });

  test('recall asks for pairs at any place, and keys are long enough to differ', () => {
    const samples = Array.from({ length: 60 }, (_, index) => questionOf(tasks['recall']!.sample(0, index, 400)));
    const places = samples.map((question) => question.indexOf(question.split('?')[1]!) / question.length);
    expect(Math.min(...places)).toBeLessThan(0.1);
    expect(Math.max(...places)).toBeGreaterThan(0.8);
    expect(questionOf(tasks['recall']!.sample(0, 0, 20_000)).split('?')[1]).toHaveLength(3);
  });

  test('needle: at the depth given, in the text given', () => {
    const filler = Buffer.from('It is a truth universally acknowledged. ');
    const at = (depth: number): number => {
      const question = textOf(tasks['needle']!.sample(0, 7, 1000, { depth, filler }).tokens);
      const fact = question.search(/\nThe secret number is \d/);
      expect(filler.toString().repeat(40)).toContain(question.slice(0, fact));
      return fact;
    };
    const room = 1001 - tasks['needle']!.shortest;
    expect([0, 0.25, 1].map(at)).toEqual([0, Math.round(room / 4), room]);
    expect(() => tasks['needle']!.sample(0, 0, 100, { depth: 1.5 })).toThrow('depth must be a number from 0 to 1');
    expect(() => tasks['needle']!.sample(0, 0, 100, { filler: new Uint8Array() })).toThrow(
      'filler must be a Uint8Array of at least one byte',
    );
    const depths = Array.from({ length: 40 }, (_, i) => questionOf(tasks['needle']!.sample(0, i, 1000)).search(/\d/));
    expect(Math.max(...depths) - Math.min(...depths)).toBeGreaterThan(600);
  });

  test('rows of a batch are consecutive samples', () => {
    const { tokens, targets } = taskBatch(taskOf('copy'), { seed: 4, batchSize: 3, length: 10 }, 2);
    for (let row = 0; row < 3; row++) {
      const sample = taskOf('copy').sample(4, 6 + row, 10);
      expect(tokens.subarray(10 * row, 10 * row + 10)).toEqual(sample.tokens);
      expect(targets.subarray(10 * row, 10 * row + 10)).toEqual(sample.targets);
    }
    expect(() => taskBatch(taskOf('copy'), { seed: 4, batchSize: 0, length: 10 }, 2)).toThrow('batchSize');
  });

  test('unknown names', () => {
    expect(() => taskOf('needel')).toThrow('unknown task "needel" (did you mean "needle"?); known are copy, recall');
    expect(() => taskOf('toString')).toThrow(OptionError);
  });
});
