// of cli/commands/{show-feed-forward,show-mixer,show-picture,show-text}, cli/picture/png, report/picture/{grid,marked-text,svg}

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../io.js';
import { malformed } from '../../report/well-formed.js';

const wasm = ['--device', 'wasm', '--threads', '1'];

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

test('show: options that fit the length asked for, and not the usual one of costs', async () => {
  const { code, out } = await cli(['show', 'sinkhorn:blockSize=7', '--length', '105', ...wasm]);
  expect(code).toBe(0);
  expect(out).toContain('105 positions');
  const { err } = await cli(['show', 'sinkhorn:blockSize=7', '--length', '100', ...wasm]);
  expect(err).toContain('blockSize must divide the 100 tokens, as 10 does; got 7');
});
