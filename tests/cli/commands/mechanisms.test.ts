import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { mechanisms } from '../../../src/attention/index.js';
import { cli, temporaryFolder } from '../io.js';
import { malformed } from '../../report/well-formed.js';

const wasm = ['--device', 'wasm', '--threads', '1'];

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

describe('show', () => {
  test('explains, and draws the causal triangle', async () => {
    const { code, out } = await cli(['show', 'flash', '--causal', '--length', '32', ...wasm]);
    expect(code).toBe(0);
    expect(out).toContain('arXiv:2307.08691');
    expect(out).toContain('100,687,872');
    const picture = out.split('\n').filter((line) => line.startsWith('│'));
    expect(picture).toHaveLength(32);
    // the future of the first position is empty, the last sees everything
    expect(picture[0]).toMatch(/^│[^ ]{2} +│$/);
    expect(picture[31]).not.toContain(' ');
  });

  test('writes SVG and PNG', async () => {
    const cwd = temporaryFolder();
    const argv = ['show', 'standard', '--length', '16', ...wasm, '--svg', 'p.svg', '--png', 'p.png'];
    const { code, err } = await cli(argv, { cwd });
    expect(code).toBe(0);
    expect(err).toContain('p.png');
    expect(malformed(readFileSync(join(cwd, 'p.svg'), 'utf8'))).toBeUndefined();
    const image = readFileSync(join(cwd, 'p.png'));
    expect(image.subarray(1, 4).toString()).toBe('PNG');
    expect([image.readUInt32BE(16), image.readUInt32BE(20)]).toEqual([512, 512]);
    const at = image.indexOf('IDAT') + 4;
    expect(inflateSync(image.subarray(at, at + image.readUInt32BE(at - 8)))).toHaveLength(512 * (1 + 3 * 512));
  });

  test('draws what the data decides on a text of yours: chunks of the sorted order, in colours and by their bytes', async () => {
    const cwd = temporaryFolder();
    writeFileSync(
      join(cwd, 'mine.txt'),
      'Call me Ishmael. Some years ago <never mind> how long & precisely. '.repeat(6),
    );
    const argv = ['show', 'reformer:chunkLength=32', '--text', 'mine.txt', '--length', '320', ...wasm];
    const { code, out } = await cli([...argv, '--svg', 'p.svg', '--png', 'p.png'], { cwd });
    expect(code).toBe(0);
    expect(out).toContain('320 bytes of mine.txt');
    expect(out).toMatch(/chunk 0 +\S+/);
    const svg = readFileSync(join(cwd, 'p.svg'), 'utf8');
    expect(malformed(svg)).toBeUndefined();
    expect(svg).toContain('both in the order in which they are gathered, by chunk');
    expect(svg).toContain('&lt;never mind&gt; how long &amp; precisely');
    const image = readFileSync(join(cwd, 'p.png'));
    // two pictures of 256 cells of 2 pixels, and 8 cells between them
    expect([image.readUInt32BE(16), image.readUInt32BE(20)]).toEqual([1040, 512]);
  });

  test('a length is found at which hyper sorts, and samples are marked', async () => {
    const cwd = temporaryFolder();
    const argv = ['show', 'hyper:minLength=2048', '--svg', 'p.svg', ...wasm];
    const { out } = await cli(argv, { cwd });
    expect(out).toContain('2048 bytes of pride-and-prejudice.txt');
    expect(out).toMatch(/samples +\S+/);
    expect(readFileSync(join(cwd, 'p.svg'), 'utf8')).toContain('line below: samples');
  });

  test('a mixer of layers: formula, options, cost, and which rows depend on which', async () => {
    const cwd = temporaryFolder();
    const { code, out } = await cli(['show', 'mlp-mixer:hidden=64', '--svg', 'p.svg', ...wasm], { cwd });
    expect(code).toBe(0);
    expect(out).toContain('arXiv:2105.01601');
    expect(out).toContain('(here 64)');
    // 2·n·F·T
    expect(out).toMatch(/multiply-adds +402,653,184/);
    expect(out.split('\n').filter((line) => line.startsWith('│'))).toHaveLength(36);
    expect(malformed(readFileSync(join(cwd, 'p.svg'), 'utf8'))).toBeUndefined();
    const facts = await cli(['show', '--json', 'token-learner']);
    expect(JSON.parse(facts.out)).toMatchObject({
      level: 'mixer',
      chosen: { tokens: 16, hidden: 64 },
      parameters: 50240,
    });
    const fuser = await cli(['show', 'token-fuser', '--length', '32', ...wasm]);
    expect(fuser.out).toContain('before training no row of the result depends on x');
  });

  test('--json gives options and cost', async () => {
    const { out } = await cli(['show', 'chunked', '--set', 'keyChunk=512', '--json', ...wasm]);
    expect(JSON.parse(out)).toMatchObject({ name: 'chunked', length: 4096, pairs: 201326592 });
    expect((JSON.parse(out) as { chosen: object }).chosen).toEqual({ queryChunk: 1024, keyChunk: 512 });
  });

  test.each([
    [['show'], 'name a mechanism'],
    [['show', 'flahs'], 'did you mean "flash"?'],
    [['show', 'chunked', '--set', 'a=1,keychunk=2,queryChunk=x'], 'chunked: unknown option "a"'],
    [['show', 'chunked', '--set', 'a=1,keychunk=2,queryChunk=x'], 'did you mean "keyChunk"?'],
    [['show', 'chunked', '--set', 'a=1,keychunk=2,queryChunk=x'], 'queryChunk must be a whole number of at least 1'],
    [['show', 'chunked', '--set', 'queryChunk=0'], 'queryChunk must be a whole number of at least 1; got 0'],
    [['show', 'mlp-mixer:hiden=3', '--set', 'mlp-mixer:hidden=0'], 'mlp-mixer: unknown option "hiden" (did you mean'],
    [
      ['show', 'mlp-mixer:hiden=3', '--set', 'mlp-mixer:hidden=0'],
      'mlp-mixer: hidden must be a whole number of at least 1',
    ],
    [['show', 'token-learner', '--text', 'x.txt'], 'a mixer is drawn on random rows'],
    [['show', 'mlp-mixer', '--length', '600'], 'a mixer is drawn of at most 512 rows; got 600'],
    [['show', 'strided', '--text', 'x.txt'], 'the pattern of strided is the same for every text'],
    [['show', 'strided', '--length', '5000'], 'a pattern is drawn of at most 4096 positions; got 5000'],
    [['show', 'reformer', '--length', '64', '--head', '7'], '--head: the model has heads 0 to 2; got 7'],
    [['show', 'flash', 'standard'], 'unexpected argument "standard"'],
  ])('%j is refused in a sentence', async (argv, sentence) => {
    const { code, err } = await cli(argv);
    expect(code).toBe(2);
    expect(err).toContain(sentence);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});

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

test('show: options that fit the length asked for, and not the usual one of costs', async () => {
  const { code, out } = await cli(['show', 'sinkhorn:blockSize=7', '--length', '105', ...wasm]);
  expect(code).toBe(0);
  expect(out).toContain('105 positions');
  const { err } = await cli(['show', 'sinkhorn:blockSize=7', '--length', '100', ...wasm]);
  expect(err).toContain('blockSize must divide the 100 tokens, as 10 does; got 7');
});
