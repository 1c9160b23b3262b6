import { describe, expect, test } from 'vitest';
import { cli } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];

describe('plan', () => {
  const quick = ['plan', '--no-probe', '--mechanisms', 'standard,flash', ...wasm];

  test('what fits, what is recommended, and arithmetic to follow by hand', async () => {
    const { code, out } = await cli([...quick, '--layers', '1', '--memory-limit', '500MB']);
    expect(code).toBe(0);
    expect(out).toMatch(/^flash .* yes$/m);
    expect(out).toMatch(/^standard .* no$/m);
    expect(out).toContain('Recommended  flash');
    expect(out).toContain('805,306,368 B');
    expect(out).toContain('25,769,803,776');
  });

  test('--json', async () => {
    const { out } = await cli([...quick, '--json', '--causal', '--training']);
    const { rows, recommended } = JSON.parse(out) as { rows: { seconds: null }[]; recommended: { mechanism: string } };
    expect(rows).toHaveLength(2);
    expect(rows[0]!.seconds).toBeNull();
    expect(recommended.mechanism).toBe('flash');
  });

  test('predicts times after a probe', async () => {
    const { code, out } = await cli(['plan', '--mechanisms', 'flash', '--length', '256', '--layers', '1', ...wasm]);
    expect(code).toBe(0);
    expect(out).toMatch(/^flash .* (ms|µs|s) /m);
  });

  test.each([
    [['--memory-limit', '1'], 1, /nothing fits into 1 bytes; needed are flash \d+, standard \d+/],
    [['--memory-limit', 'big'], 2, /--memory-limit must be a number of bytes such as 8GB/],
    [
      ['--set', 'flash=1,standrd.a=2,standard.b=3'],
      2,
      /--set flash=1 must name one of the mechanisms, as NAME:flash=1; .*did you mean "standard"\?\); standard: unknown option "b"/,
    ],
  ])('%j is refused', async (argv, code, sentence) => {
    const ran = await cli([...quick, ...argv]);
    expect(ran.code).toBe(code);
    expect(ran.err).toMatch(sentence);
  });
});
