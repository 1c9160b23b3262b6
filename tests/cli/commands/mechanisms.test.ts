import { describe, expect, test } from 'vitest';
import { mechanisms } from '../../../src/attention/index.js';
import { cli } from '../io.js';

describe('mechanisms', () => {
  test('a row for every mechanism', async () => {
    const { code, out } = await cli(['mechanisms']);
    expect(code).toBe(0);
    for (const { name } of mechanisms) expect(out).toMatch(new RegExp(`^${name} `, 'm'));
    expect(out).toContain(`${mechanisms.length} mechanisms`);
  });

  test('--json holds options and papers; --family selects', async () => {
    const { out } = await cli(['mechanisms', '--family', 'exact', '--json']);
    const all = JSON.parse(out) as { name: string; family: string; options: object; paper: { year: number } }[];
    expect(new Set(all.map(({ family }) => family))).toEqual(new Set(['exact']));
    expect(all.find(({ name }) => name === 'chunked')).toMatchObject({
      options: { queryChunk: { type: 'integer', min: 1, default: 1024 } },
      paper: { year: 2021, arxiv: '2112.05682' },
    });
  });
});
