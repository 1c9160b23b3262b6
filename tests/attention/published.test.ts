import { describe, expect, test } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { published } from './published.js';

// The gate of a mechanism computes its oracle with the defaults of the code, so it does not notice when one of them changes.

const shape = { B: 1, H: 12, G: 12, L: 4096, S: 4096, D: 64, E: 64 };

test('every mechanism has its published defaults', () => {
  expect(Object.keys(published).sort()).toEqual(mechanisms.map(({ name }) => name).sort());
});

describe('defaults are the published ones, or ours for a reason', () => {
  test.each(mechanisms.map((one) => [one.name, one] as const))('%s', (name, one) => {
    const { values, ours = {} } = published[name]!;
    const causal = one.definition.supports.causal === 'only';
    const wanted = {
      ...values,
      ...Object.fromEntries(Object.entries(ours).map(([option, [value]]) => [option, value])),
    };
    expect(one.settle(shape, { causal }).values).toEqual(wanted);
  });
});
