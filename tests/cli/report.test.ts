import { array, assert, double, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findings } from '../../src/cli/findings.js';
import * as format from '../../src/cli/format.js';
import { markup } from '../../src/cli/report/html.js';
import { report } from '../../src/cli/report/report.js';
import { logScale, spread } from '../../src/cli/report/scale.js';
import type { Comparison, CompareRow } from '../../src/studies/compare.js';
import { namedMask } from '../../src/studies/mask-names.js';
import { maskPicture } from '../../src/studies/picture.js';
import { malformed } from './well-formed.js';

const names = ['standard', 'exact', 'radius:256', 'causal-window:512', 'a-mask-with-quite-a-long-name:1:2:3'];
const lengths = [512, 1024, 4096];

function row(mechanism: string, length: number): CompareRow {
  const skipped = mechanism === 'standard' && length === 4096 ? 'its <n×n> matrices & more' : null;
  const number = (value: number): number | null => (skipped === null ? value : null);
  const speed = 1 + names.indexOf(mechanism);
  return {
    mechanism,
    label: `label of ${mechanism}`,
    kind: mechanism === 'standard' ? 'standard' : mechanism === 'exact' ? 'exact' : 'sparse',
    target: mechanism.startsWith('causal') ? 'causal' : 'full',
    length,
    milliseconds: number((length * length) / 1e5 / speed),
    rounds: skipped === null ? 7 : 0,
    speedup: length === 4096 ? null : speed,
    overExact: number(speed / 2),
    gflops: number(100),
    workspaceBytes: number(speed === 1 ? length * length * 32 : length * 100),
    pairsShare: number(1 / speed),
    error:
      skipped === null
        ? { relative: speed < 3 ? 1e-6 : 0.1 * speed, cosine: 0.99, worstRow: 0.2 * speed, rows: 32 }
        : null,
    check: skipped === null ? { ok: true, error: 1e-7, budget: 1e-6 } : null,
    skipped,
    note: null,
  };
}

const comparison: Comparison = {
  document: 'a <b> & "c".txt',
  features: 'features, not a trained model.',
  seed: 0,
  heads: 4,
  headDim: 64,
  lengths,
  omitted: [{ length: 16384, why: 'it might end only after 99 s; the limit is 75 s' }],
  memoryLimit: 4e9,
  rowsPerHead: 8,
  machine: {
    cpu: 'Some CPU',
    cores: 2,
    memoryBytes: 8e9,
    system: 'Linux',
    node: 'v20',
    device: { kind: 'wasm', threads: 2, width: 4, fusedMultiplyAdd: true, reasons: ['because.'] },
  },
  rows: lengths.flatMap((length) => names.map((name) => row(name, length))),
  pictures: ['radius:16', 'dilated:4:8'].map((name) => maskPicture(namedMask(name), 300)),
};
const page = report(comparison, { command: 'subquad compare "a b.txt" --seed 0', version: '1.2.3', note: 'A note.' });

describe('the report', () => {
  test('is well formed, and text is escaped', () => {
    expect(malformed(page)).toBeUndefined();
    expect(page).toContain('a &lt;b&gt; &amp; &quot;c&quot;.txt');
    expect(page).toContain('its &lt;n×n&gt; matrices &amp; more');
  });

  test('asks for nothing: no script, no link, no address, no import', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import|src=|href=/i);
  });

  test('contains every row with its numbers', () => {
    const rows = [...page.matchAll(/<tr class="(?:standard|exact|sparse)">[^]*?<\/tr>/g)].map(([text]) => text);
    expect(rows).toHaveLength(comparison.rows.length);
    comparison.rows.forEach(({ mechanism, milliseconds, workspaceBytes, skipped }, i) => {
      expect(rows[i]).toContain(`<code>${mechanism}</code>`);
      const time = skipped === null ? `<td>${format.milliseconds(milliseconds!)}</td>` : 'not run';
      const bytes = skipped === null ? `<td>${format.bytes(workspaceBytes!)}</td>` : 'matrices';
      expect(rows[i]).toContain(time);
      expect(rows[i]).toContain(bytes);
    });
  });

  test('says what the numbers are, on which machine, by which command', () => {
    for (const text of [
      'not a trained model',
      'Some CPU',
      '2 threads',
      'A note.',
      'subquad 1.2.3',
      '--seed 0',
      'because.',
    ]) {
      expect(page).toContain(text);
    }
  });

  test('has a label for every drawing, and ids that are met once', () => {
    const drawings = [...page.matchAll(/<svg[^>]*>/g)].map(([tag]) => tag);
    expect(drawings).toHaveLength(4 * 2 + 2 * 2);
    for (const tag of drawings) expect(tag).toMatch(/role="img"[^>]*aria-label/);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, list] of page.matchAll(/aria-labelledby="([^"]+)"/g)) {
      for (const id of list!.split(' ')) expect(ids).toContain(id);
    }
  });

  test('names each line once in each chart, and names do not overlap or leave the drawing', () => {
    for (const [svg] of page.matchAll(/<svg\s+class="(?:wide|narrow)"[^]*?<\/svg>/g)) {
      const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!;
      const placed = [
        ...svg.matchAll(/<text class="name[^"]*" text-anchor="(\w+)" x="([\d.]+)" y="([\d.]+)">([^<]*)</g),
      ];
      expect(new Set(placed.map(([, , , , name]) => name)).size).toBe(placed.length);
      const ys = placed.map(([, , , y]) => Number(y)).sort((a, b) => a - b);
      ys.slice(1).forEach((y, i) => expect(y - ys[i]!).toBeGreaterThan(11.9));
      expect(ys.at(-1)).toBeLessThan(Number(height));
      for (const [, anchor, x, , name] of placed) {
        const extent = name!.length * (Number(width) < 500 ? 6.3 : 7.2);
        const [from, to] = anchor === 'end' ? [Number(x) - extent, Number(x)] : [Number(x), Number(x) + extent];
        expect(from).toBeGreaterThanOrEqual(0);
        expect(to).toBeLessThanOrEqual(Number(width));
      }
    }
  });

  test('bare results are no reason to fail', () => {
    const rows = names.map((name) => ({
      ...row(name, 512),
      error: null,
      milliseconds: null,
      speedup: null,
      overExact: null,
    }));
    const bare = report(
      { ...comparison, rows, lengths: [512], pictures: [] },
      { command: 'x', version: '1', note: undefined },
    );
    expect(malformed(bare)).toBeUndefined();
  });
});

test('findings are sentences about what was measured', () => {
  expect(findings(comparison.rows, lengths)).toEqual([
    'At 1,024 positions exact fused attention is 2.00× as fast as standard attention, with 102 kB of workspace instead of 33.6 MB.',
    'At 4,096 positions standard attention was not run: its <n×n> matrices & more.',
    'At 4,096 positions the mask nearest to full attention is radius:256 (1.50× as fast as exact attention, 33 % of the pairs, error 30 %); ' +
      'the fastest is a-mask-with-quite-a-long-name:1:2:3 (2.50× as fast as exact attention, 20 % of the pairs, error 50 %).',
  ]);
  expect(findings([], [512])).toEqual([]);
});

test('markup escapes text and keeps markup', () => {
  expect(markup`<p title="${'"'}">${['<', markup`<b>${1}</b>`, undefined]}</p>`.text).toBe(
    '<p title="&quot;">&lt;<b>1</b></p>',
  );
});

describe('scales', () => {
  test('open up to 1, 2, 5 and label a handful', () => {
    expect(logScale([0.87, 31], 0, 100).ticks).toEqual([0.5, 1, 2, 5, 10, 20, 50]);
    expect(logScale([0.7, 2200], 0, 100).ticks).toEqual([1, 10, 100, 1000]);
    const x = logScale([1, 100], 0, 100);
    expect([x(1), x(10), x(100)]).toEqual([0, 50, 100]);
    // a single given tick lies in the middle
    expect(logScale([5], 0, 100, [5])(5)).toBe(50);
    expect(logScale([], 0, 100).ticks.length).toBeGreaterThan(0);
  });

  test('hold every value, and few labels', () => {
    assert(
      property(array(double({ min: 1e-12, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 9 }), (values) => {
        const scale = logScale(values, 10, 90);
        expect(scale.ticks.length).toBeLessThanOrEqual(10);
        for (const value of values) {
          expect(scale(value)).toBeGreaterThanOrEqual(10 - 1e-6);
          expect(scale(value)).toBeLessThanOrEqual(90 + 1e-6);
        }
      }),
    );
  });

  test('labels are spread: apart, inside, in order, and still where there is room', () => {
    assert(
      property(array(integer({ min: 0, max: 300 }), { maxLength: 15 }), (centres) => {
        const places = spread(centres, 15, 0, 300);
        const order = centres.map((_, i) => i).sort((a, b) => centres[a]! - centres[b]! || a - b);
        order.forEach((index, n) => {
          expect(places[index]!).toBeGreaterThanOrEqual(-1e-9);
          expect(places[index]!).toBeLessThanOrEqual(300 + 1e-9);
          const before = n === 0 ? -Infinity : places[order[n - 1]!]!;
          expect(places[index]! - before).toBeGreaterThanOrEqual(15 - 1e-6);
        });
      }),
    );
    expect(spread([10, 100, 200], 15, 0, 300)).toEqual([10, 100, 200]);
    expect(spread([100, 100], 20, 0, 300)).toEqual([90, 110]);
  });
});
