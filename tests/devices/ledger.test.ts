import { expect, test } from 'vitest';
import { Ledger } from '../../src/devices/ledger.js';

test('a ledger counts by category and remembers the peak since the last mark', () => {
  const ledger = new Ledger();
  ledger.add('tensor', 100);
  ledger.add('saved', 50);
  ledger.remove('tensor', 100);
  expect([ledger.live(), ledger.live('tensor'), ledger.live('saved'), ledger.live('cache')]).toEqual([50, 0, 50, 0]);
  expect(ledger.peak).toBe(150);
  expect(ledger.mark()).toBe(50);
  expect(ledger.peak).toBe(50);
  ledger.add('workspace', 7);
  ledger.remove('workspace', 7);
  expect(ledger.peak).toBe(57);
});
