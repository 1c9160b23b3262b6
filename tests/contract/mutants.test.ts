import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/devices/index.js';
import { openDevice } from '../support/devices.js';
import { checks, gate, type CheckName } from './gate/index.js';
import { gated } from './gate/spec.js';
import { lost, wrongCalls } from './mutants/calls.js';
import { leaking } from './mutants/leaks.js';
import { wrongValues } from './mutants/values.js';
import { define, honest, type Mutant } from './mutants/windowed.js';

let device: Device;
beforeAll(async () => {
  device = (await openDevice('wasm'))!;
});
afterAll(() => device.dispose());

const names = Object.keys(checks) as CheckName[];
const mutants: readonly Mutant[] = [...wrongValues, ...leaking, ...wrongCalls];

test('every check has a mutant', () => {
  expect([...new Set(mutants.map(({ check }) => check))].sort()).toEqual([...names].sort());
});

describe('a mechanism without fault passes every check', () => {
  const one = gated(honest.mechanism, honest.spec);
  test.each(names)('%s', (name) => checks[name](one, { kind: 'wasm', device }));
});

describe('every check finds its mutants', () => {
  test.each(mutants.map((one) => [one.check, one.fault, one] as const))('%s: %s', async (check, _, one) => {
    // a page that is not isolated has one thread, which nothing can depend on
    if (check === 'equal bits for every number of threads' && device.info.threads === 1) return;
    const target = gated(one.mechanism, one.spec);
    await expect(checks[check](target, { kind: 'wasm', device })).rejects.toThrow(one.finds);
    for (const tensor of lost.splice(0)) tensor.dispose();
  });
});

describe('the gate does not pass for want of something to do', () => {
  const nothing = define({ refuse: () => ['it takes nothing'] });
  test.each(['the future changes nothing', formula(), 'padding changes nothing', 'leaves nothing behind'] as const)(
    'a mechanism that refuses every shape fails: %s',
    async (name) => {
      const one = gated(nothing, honest.spec);
      await expect(checks[name](one, { kind: 'wasm', device })).rejects.toThrow('gate: windowed refuses');
    },
  );

  test('random cases that are never taken, and cost shapes', async () => {
    const picky = gated(define({ refuse: ({ L }) => (L === 49 ? [] : ['it takes 49 tokens']) }), honest.spec);
    const on = { kind: 'wasm', device } as const;
    await expect(checks['agrees with the formula at random'](picky, on)).rejects.toThrow('random cases were taken');
    await expect(checks['cost formula is what is counted'](picky, on)).rejects.toThrow('refuses every cost shape');
  });

  test('support for exactness and a logsumexp that nobody checks', async () => {
    const { exactWhen: _, logsumexp: __, ...silent } = honest.spec;
    const one = gated(honest.mechanism, silent);
    const on = { kind: 'wasm', device } as const;
    await expect(checks['is exact where it should be'](one, on)).rejects.toThrow('say with exactWhen');
    await expect(checks['logsumexp is that of its pattern'](one, on)).rejects.toThrow('returns a logsumexp');
  });

  test('exceptions name a check', () => {
    const spec = { ...honest.spec, except: { 'no such check': 'none' } };
    expect(() => gate(honest.mechanism, spec as never)).toThrow('no check is called no such check');
  });
});

function formula(): CheckName {
  return 'agrees with the formula, forward and backward';
}
