// of studies/{tokeniser-of,train-config,train-optimiser}

import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BUNDLED_TEXT } from '../../src/studies/bundled.js';
import { openEvaluationText } from '../../src/studies/evaluate-text.js';

const data = { texts: ['not/here.txt', 'pride-and-prejudice.txt'], tokeniser: null, validation: 0.02 };

test('a model that kept the end of the bundled novel is evaluated on that, wherever its other texts are', async () => {
  const { bytes, training, heldOut } = await openEvaluationText({ data, keptOfNovel: 1000 }, [], '.');
  const { size } = statSync(BUNDLED_TEXT);
  expect([bytes.size, training?.size, heldOut]).toEqual([1000, size - 1000, true]);
  const [end, all] = [new Int32Array(1000), new Int32Array(1000)];
  bytes.read(0, end);
  const whole = await openEvaluationText({ data, keptOfNovel: 1000 }, [BUNDLED_TEXT], '.');
  whole.bytes.read(size - 1000, all);
  expect(end).toEqual(all);
  expect(whole.heldOut).toBe(false);
});

test('texts that are gone are an error that names them, unless a file is given', async () => {
  await expect(openEvaluationText({ data }, [], '.')).rejects.toThrow('not/here.txt');
  expect((await openEvaluationText({ data }, [BUNDLED_TEXT], '.')).training).toBeUndefined();
});
