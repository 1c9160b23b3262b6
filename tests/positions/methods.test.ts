// of positions/{learned,sinusoidal}

import { expect, it } from 'vitest';
import * as positions from '../../src/positions/index.js';
import { alibi, alibiSlopes, t5Bias, t5Bucket } from '../../src/scores/index.js';

it('lists every method with what it changes', () => {
  const changes = Object.entries(positions.positionMethods).map(([name, { changes }]) => [name, changes]);
  expect(Object.fromEntries(changes)).toEqual({
    sinusoidal: 'embedding',
    learned: 'embedding',
    rope: 'rotate',
    alibi: 'score',
    t5: 'score',
    'transformer-xl': 'attention',
  });
});

it('names functions that are exported, papers and one line for every option', () => {
  const exported = new Set<unknown>(Object.values(positions));
  for (const { apply, paper, options, summary } of Object.values(positions.positionMethods)) {
    expect(exported.has(apply)).toBe(true);
    expect(paper.arxiv).toMatch(/^\d{4}\.\d{5}$/);
    for (const line of [summary, ...Object.values(options)]) expect(line).toMatch(/^[^\n]{10,120}$/);
  }
});

it('re-exports the score changes, which are no copies', () => {
  const { alibi: a, alibiSlopes: s, t5Bias: b, t5Bucket: t } = positions;
  expect([a, s, b, t]).toEqual([alibi, alibiSlopes, t5Bias, t5Bucket]);
});
