// of report/{charts,costs,families,line-chart,mask-figure,page,scatter,style,table}

import { array, assert, double, integer, property, record, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Direction, choices, headline } from '../../src/report/choice.js';
import { bySpeed, findings } from '../../src/report/findings.js';
import * as format from '../../src/report/format.js';
import { errorTick } from '../../src/report/dot-chart.js';
import { markup } from '../../src/report/html.js';
import { looks } from '../../src/report/marks.js';
import { placeLabels } from '../../src/report/place-labels.js';
import { report } from '../../src/report/report.js';
import { logScale, spread } from '../../src/report/scale.js';
import type { Comparison, CompareRow } from '../../src/studies/compare.js';
import { namedMask } from '../../src/studies/mask-names.js';
import { maskPicture } from '../../src/studies/picture.js';
import { malformed } from './well-formed.js';

const names = ['standard', 'flash', 'window', 'past', 'a-mechanism-with:quite=1:long=2:options=3', 'mixer'];
const lengths = [512, 1024, 4096];

function row(name: string, length: number): CompareRow {
  const skipped = name === 'standard' && length === 4096 ? 'its <n×n> matrices & more' : null;
  const number = (value: number): number | null => (skipped === null ? value : null);
  const speed = 1 + names.indexOf(name);
  const bytes = speed === 1 ? length * length * 32 : length * 100;
  return {
    name,
    mechanism: name.split(':')[0]!,
    family: speed < 3 ? 'exact' : name === 'mixer' ? 'mixers' : 'patterns',
    level: name === 'mixer' ? 'mixer' : 'attention',
    exactness: speed < 3 ? 'exact' : 'exact on its support',
    causal: name === 'past',
    length,
    milliseconds: number((length * length) / 1e5 / speed),
    rounds: skipped === null ? 7 : 0,
    overStandard: length === 4096 ? null : speed,
    overFlash: number(speed / 2),
    gflops: number(100),
    workspaceBytes: number(bytes),
    savedBytes: number(0),
    parameterBytes: number(speed === 5 ? 1234 : 0),
    predicted: {
      pairs: 7,
      formulaMultiplyAdds: 1e6 * length,
      multiplyAdds: 1.5e6 * length,
      workspaceBytes: bytes,
      savedBytes: 0,
    },
    counted: skipped === null ? { multiplyAdds: 1.5e6 * length, bytesMoved: 1, dispatches: 1 } : null,
    pairsShare: number(1 / speed),
    error:
      skipped === null
        ? { relative: speed < 3 ? 1e-6 : 0.1 * speed, cosine: 0.99, worstRow: 0.2 * speed, rows: 32 }
        : null,
    check: skipped === null ? { ok: true, error: 1e-7, budget: 1e-6 } : null,
    skipped,
    failed: false,
    notes: name === 'window' ? ['a <note>'] : [],
  };
}

const rows = lengths.flatMap((length) => names.map((name) => row(name, length)));
const comparison: Comparison = {
  document: 'a <b> & "c".txt',
  features: 'features, not a trained model.',
  seed: 0,
  heads: 4,
  headDim: 64,
  causal: false,
  training: false,
  mechanisms: names.map((name) => {
    const { mechanism, family, level, exactness } = row(name, 512);
    const paper = { authors: `Author of ${mechanism}`, title: 'T', year: 2020, arxiv: '2001.00001' };
    return { name, mechanism, family, level, exactness, summary: 'An <idea>.', paper, complexity: 'n·d', options: {} };
  }),
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
    device: { kind: 'wasm', gpu: false, threads: 2, width: 4, fusedMultiplyAdd: true, reasons: ['because.'] },
  },
  rows,
  crossovers: [
    { name: 'standard', length: null, atMost: false },
    { name: 'window', length: 512, atMost: true },
    { name: 'past', length: 1234, atMost: false },
  ],
  pictures: ['radius:16', 'dilated:4:8'].map((name, i) => ({
    ...maskPicture(namedMask(name), 300),
    mask: names[2 + i]!,
  })),
};
const looking = {
  causal: false,
  text: 'a <text> & more.',
  query: 9,
  stretch: 4,
  looks: [{ name: 'window', weights: [0, 0.25, 0.75, 0] }],
};
const direction = { comparison, swaps: undefined, looking };
const page = report([direction], { command: 'subquad compare "a b.txt" --seed 0', version: '1.2.3', note: 'A note.' });

describe('the report', () => {
  test('is well formed, and text is escaped', () => {
    expect(malformed(page)).toBeUndefined();
    expect(page).toContain('a &lt;b&gt; &amp; &quot;c&quot;.txt');
    expect(page).toContain('its &lt;n×n&gt; matrices &amp; more');
    expect(page).toContain('An &lt;idea&gt;.');
  });

  test('asks for nothing: no script, no link, no address, no import', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import|src=|href=/i);
  });

  test('contains every row with its numbers, the longest length and the fastest first', () => {
    const found = [...page.matchAll(/<tr class="row[^"]*">[^]*?<\/tr>/g)].map(([text]) => text);
    const expected = [...lengths].reverse().flatMap((n) => bySpeed(rows.filter(({ length }) => length === n)));
    expect(found).toHaveLength(rows.length);
    expect(expected.slice(0, 6).map(({ name }) => name)).toEqual([...names].reverse());
    expected.forEach(({ name, milliseconds, workspaceBytes, counted, skipped }, i) => {
      expect(found[i]).toContain(`<code>${name}</code>`);
      const cells =
        skipped === null
          ? [
              format.milliseconds(milliseconds!),
              format.bytes(workspaceBytes!),
              format.operations(counted!.multiplyAdds),
            ]
          : [];
      for (const cell of cells) expect(found[i]).toContain(`<td>${cell}</td>`);
      if (skipped !== null) expect(found[i]).toContain('not run: its');
    });
    for (const text of [
      'of causal',
      'no attention',
      'a &lt;note&gt;',
      '1.23 kB',
      'Author of window 2020, arXiv 2001.00001',
    ]) {
      expect(page).toContain(text);
    }
    expect(page).toContain('<td>≤ 512</td>');
    expect(page).toContain('<td>1,200</td>');
  });

  test('a part for each family, with where a byte looks', () => {
    const parts = [...page.matchAll(/<details class="family"[^]*?<\/details>/g)].map(([part]) => part);
    expect(parts).toHaveLength(new Set(rows.map(({ family }) => family)).size);
    const [line] = /<p class="looks">[^]*?<\/p>/.exec(page)!;
    // the darkest stretch is the one of the largest weight, and the byte itself stands out
    expect(line).toBe(
      '<p class="looks">a &lt;t<span class="w6">ext&gt;</span><span class="w9"> </span><mark>&amp;</mark><span class="w9"> m</span>ore.</p>',
    );
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
    expect(drawings).toHaveLength(7 * 2 + 2 * 2);
    for (const tag of drawings) expect(tag).toMatch(/role="img"[^>]*aria-label/);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, list] of page.matchAll(/aria-labelledby="([^"]+)"/g)) {
      for (const id of list!.split(' ')) expect(ids).toContain(id);
    }
  });

  test('names each mechanism once in each chart, and names do not overlap or leave the drawing', () => {
    for (const [svg] of page.matchAll(/<svg\s+class="(?:wide|narrow)"[^]*?<\/svg>/g)) {
      const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!;
      const placed = [
        ...svg.matchAll(/<text class="name[^"]*" text-anchor="(\w+)" x="([\d.]+)" y="([\d.]+)">([^<]*)</g),
      ].map(([, anchor, x, y, name]) => {
        const extent = name!.length * (Number(width) < 500 ? 6.3 : 7.2);
        const left = anchor === 'end' ? Number(x) - extent : Number(x);
        return { name, left, right: left + extent, y: Number(y) };
      });
      expect(placed.length).toBeGreaterThan(2);
      expect(new Set(placed.map(({ name }) => name)).size).toBe(placed.length);
      for (const one of placed) {
        expect(one.left).toBeGreaterThanOrEqual(0);
        expect(one.right).toBeLessThanOrEqual(Number(width));
        expect(one.y).toBeLessThan(Number(height));
        for (const other of placed) {
          const apart = one.right < other.left || other.right < one.left || Math.abs(one.y - other.y) > 11.9;
          expect(one === other || apart).toBe(true);
        }
      }
    }
  });

  test('bare results are no reason to fail', () => {
    const bare = rows
      .filter(({ length }) => length === 512)
      .map((one) => ({ ...one, error: null, milliseconds: null, overStandard: null, overFlash: null, counted: null }));
    const empty = report(
      [{ comparison: { ...comparison, rows: bare, lengths: [512], pictures: [], crossovers: [] }, swaps: undefined }],
      { command: 'x', version: '1', note: undefined },
    );
    expect(malformed(empty)).toBeUndefined();
  });
});

test('findings are sentences about what was measured', () => {
  expect(findings(comparison)).toEqual([
    'At 1,024 positions flash is 2.00× as fast as standard attention, with 102 kB of workspace instead of 33.6 MB.',
    'At 4,096 positions standard attention was not run: its <n×n> matrices & more.',
    'Faster than flash at 512 positions already: window.',
    'Faster than flash on longer inputs: past from 1,200.',
  ]);
  expect(findings({ ...comparison, rows: [], lengths: [512], crossovers: [] })).toEqual([]);
});

const slow = rows.map((one) => ({ ...one, overFlash: one.overFlash && one.overFlash / 10 }));

describe('the choice', () => {
  const swapRow = (name: string, change: number, own: object = {}) => ({
    name,
    exactness: 'exact on its support',
    trained: false,
    length: 1024,
    bitsPerByte: 2 + change,
    change,
    changeError: 0.001,
    accuracy: null,
    adapted: null,
    windows: 2,
    tokens: 2048,
    ...own,
  });
  const swaps = (changes: Readonly<Record<string, number>>, own: object = {}): Direction['swaps'] =>
    ({
      config: { length: 1024 },
      masked: false,
      adaptedSteps: null,
      lengths: [1024],
      refused: [],
      rows: [
        swapRow('flash', 0, { trained: true }),
        ...Object.entries(changes).map(([name, change]) => swapRow(name, change)),
      ],
      ...own,
    }) as unknown as Direction['swaps'];
  const long = 'a-mechanism-with:quite=1:long=2:options=3';

  test('the fastest of those that cost little, at the length of the model and at the longest', () => {
    const found = { comparison, swaps: swaps({ window: 0.002, past: 0.04, [long]: 1.2 }) };
    expect(headline(found)).toEqual([
      'All pairs, at 1,024: past is 2.00× as fast as flash, with 102 kB of workspace, and costs +0.040 bits per byte; ' +
        'nearest to exact of those faster than flash: window (+0.002, 1.50× as fast).',
      'All pairs, at 4,096: past is 2.00× as fast as flash, with 410 kB of workspace, and costs +0.040 bits per byte; ' +
        'nearest to exact of those faster than flash: window (+0.002, 1.50× as fast).',
      `Do not take ${long} (+1.20) in a model that was not trained with it: so many bits per byte are lost.`,
      'Not judged: mixer, which a model has to be trained with; --adapt 100 trains its attention.',
    ]);
    expect(choices(found).map(({ length }) => length)).toEqual(lengths);
  });

  test('flash, where nothing else costs little or is faster', () => {
    const dear = { comparison, swaps: swaps({ window: 0.2, past: 0.3, [long]: 0.4 }, { masked: true }) };
    expect(headline(dear)[0]).toBe(
      'All pairs, at 1,024: flash; what is faster costs more than 0.05 bits per masked byte, nearest to exact of those faster than flash: window (+0.20, 1.50× as fast).',
    );
    const late = { comparison: { ...comparison, rows: slow, causal: true }, swaps: swaps({ window: 0.01 }) };
    expect(headline(late)).toEqual([
      'Causal, at 1,024: flash; nothing that leaves something out is faster.',
      'Causal, at 4,096: flash; nothing that leaves something out is faster.',
      `Do not take window, past, ${long} and mixer, not faster than flash at this length.`,
    ]);
  });

  test('after adaptation what was learned counts, and is judged', () => {
    const adapted = { bitsPerByte: 2.01, change: 0.01, changeError: 0.001, accuracy: null };
    const own = {
      adaptedSteps: 100,
      rows: [
        swapRow('flash', 0, { trained: true, adapted: { ...adapted, change: 0 } }),
        swapRow('mixer', 5, { adapted }),
      ],
    };
    const found = { comparison, swaps: swaps({}, own) };
    expect(headline(found)[0]).toMatch(
      /^All pairs, at 1,024: mixer is 3\.00× as fast as flash, .* costs \+0\.010 bits per byte; nothing faster/,
    );
  });

  test('what was not measured is not said to be slow', () => {
    const refused = ['window', 'past', long].map((name) => ({ name, length: null, why: 'there was no time left' }));
    const found = { comparison, swaps: swaps({}, { refused }) };
    expect(headline(found)).toEqual([
      'All pairs, at 1,024: flash, as far as is known.',
      'All pairs, at 4,096: flash, as far as is known.',
      'Not judged: mixer, which a model has to be trained with; --adapt 100 trains its attention.',
      `What window, past and ${long} cost is not known: there was no time left.`,
    ]);
  });

  test('without a model, the error of the call', () => {
    expect(headline({ comparison, swaps: undefined })).toEqual([
      'Of those faster than flash at 4,096 positions the nearest to softmax attention is window (1.50× as fast, error 30 %); ' +
        `the fastest is ${long} (2.50× as fast, error 50 %).`,
    ]);
    expect(headline({ comparison: { ...comparison, rows: slow }, swaps: undefined })).toEqual([
      'None that leaves something out is faster than flash at 4,096 positions.',
    ]);
  });

  test('both directions on one page', () => {
    const both = [true, false].map((causal) => ({
      comparison: { ...comparison, causal },
      swaps: swaps({ window: 0.002, past: 0.04 }),
    }));
    const whole = report(both, { command: 'x', version: '1', note: undefined });
    expect(malformed(whole)).toBeUndefined();
    const ids = [...whole.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const text of [
      'Causal: each position',
      'All pairs: each position',
      'bits per byte lost',
      '<td>+0.040</td>',
      'faster than flash from, causal',
    ]) {
      expect(whole).toContain(text);
    }
  });
});

test('looks tell the members of a family apart', () => {
  const all = looks(rows);
  expect(all.get('standard')!.colour).not.toBe(all.get('flash')!.colour);
  expect(all.get('window')!.colour).toBe(all.get('past')!.colour);
  expect(all.get('window')).not.toEqual(all.get('past'));
});

test('ticks of errors', () => {
  expect([1e-7, 1e-4, 0.002, 0.01, 0.5, 2].map(errorTick)).toEqual(['10⁻⁷', '10⁻⁴', '2·10⁻³', '1 %', '50 %', '200 %']);
});

test('names near circles: inside, and none on another', () => {
  const box = { left: 0, right: 600, top: 0, bottom: 400 };
  const spot = record({
    x: integer({ min: 30, max: 570 }),
    y: integer({ min: 30, max: 370 }),
    radius: integer({ min: 5, max: 26 }),
    text: string({ minLength: 1, maxLength: 20 }),
  });
  assert(
    property(array(spot, { maxLength: 25 }), (spots) => {
      const places = placeLabels(spots, box, 7);
      const rects = places.map(({ x, y }, i) => ({ left: x, right: x + 7 * spots[i]!.text.length, y }));
      rects.forEach((a, i) => {
        expect(a.left).toBeGreaterThanOrEqual(0);
        expect(a.right).toBeLessThanOrEqual(600 + 1e-9);
        expect(a.y).toBeLessThanOrEqual(400);
        rects.slice(0, i).forEach((b) => {
          const apart = a.right <= b.left || b.right <= a.left || Math.abs(a.y - b.y) >= 13 - 1e-9;
          expect(apart).toBe(true);
        });
      });
    }),
  );
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
