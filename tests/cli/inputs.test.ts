import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from './io.js';

const posix = process.platform !== 'win32';
const cwd = temporaryFolder();
const model = { model: { kind: 'decoder', vocabulary: 256, length: 8, layers: 1, width: 8, heads: 1 } };

/** What may be where a file is expected. */
const kinds = {
  missing: () => undefined,
  folder: (path: string) => mkdirSync(path),
  empty: (path: string) => writeFileSync(path, ''),
  binary: (path: string) => writeFileSync(path, Uint8Array.of(0, 255, 254, 1, 0)),
  loop: (path: string) => symlinkSync(path, path),
  pipe: (path: string) => void execFileSync('mkfifo', [path]),
  device: (path: string) => symlinkSync('/dev/zero', path),
  nested: (path: string) => writeFileSync(path, '['.repeat(100_000) + ']'.repeat(100_000)),
  'nested below': (path: string) =>
    writeFileSync(path, `{"model": {"width": ${'['.repeat(100_000)}${']'.repeat(100_000)}}}`),
  'of other kinds': (path: string) => writeFileSync(path, '{"model": [], "data": 3, "train": null}'),
} as const;

/** Commands, by what they read. Each has `?` where the file is named. */
const commands: Readonly<Record<string, readonly string[]>> = {
  config: ['train', '--config', '?', '--steps', '1'],
  'config of a plan': ['plan', 'train', '--no-probe', '--config', '?'],
  tokeniser: ['train', '--tokeniser', '?', '--steps', '1'],
  run: ['train', '--resume', '?'],
  'model to evaluate': ['evaluate', '?.safetensors', '--max-bytes', '8'],
  'model to generate': ['generate', '?.safetensors', '--tokens', '1'],
  'model to compare': ['compare', '--model', '?.safetensors', '--lengths', '64', '--mechanisms', 'flash'],
  'run to generate': ['generate', '?', '--tokens', '1'],
  plugin: ['show', 'flash', '--plugin', '?'],
};
/** Any bytes are a text, but not these. */
const texts: Readonly<Record<string, readonly string[]>> = {
  text: ['compare', '?', '--lengths', '64', '--mechanisms', 'flash', '--features', 'text'],
  'text to evaluate': ['evaluate', '?', '--max-bytes', '8'],
  'text to show': ['show', 'reformer', '--text', '?', '--length', '64'],
  'text of perplexity': ['compare', '?', '--task', 'perplexity', '--mechanisms', 'flash'],
  'text to train': ['train', '?', '--steps', '1'],
  'text to extrapolate': ['extrapolate', '?', '--steps', '2'],
};
const noTexts = ['missing', 'folder', 'empty', 'loop', 'pipe', 'device'] as const;
const wasm = ['--device', 'wasm', '--threads', '1'];

const cases = [
  ...Object.keys(commands).flatMap((what) => Object.keys(kinds).map((kind) => [what, kind] as const)),
  ...Object.keys(texts).flatMap((what) => noTexts.map((kind) => [what, kind] as const)),
].filter(([, kind]) => kind !== 'pipe');
const piped = [...Object.keys(commands), ...Object.keys(texts)];

describe.skipIf(!posix)('what cannot be read is told in one sentence, at once', () => {
  let made = 0;
  const refused = async (argv: readonly string[]): Promise<void> => {
    const { code, out, err } = await cli([...argv, ...(argv.includes('--plugin') ? [] : wasm)], { cwd });
    expect({ failed: code > 0, out }).toEqual({ failed: true, out: '' });
    expect(err).toMatch(/^error {2}[^\n]+\n$/);
    expect(err).not.toContain('please report it');
  };

  const check = async (what: string, kind: string): Promise<void> => {
    const name = `${(made += 1)}-${kind.replaceAll(' ', '-')}`;
    const argv = commands[what] ?? texts[what]!;
    // weights have a configuration beside them
    const weights = argv.some((word) => word.includes('?.'));
    if (weights) writeFileSync(join(cwd, `${name}.json`), JSON.stringify(model));
    kinds[kind as keyof typeof kinds](join(cwd, weights ? `${name}.safetensors` : name));
    await refused(argv.map((word) => word.replace('?', name)));
    if (!weights) return;
    kinds[kind as keyof typeof kinds](join(cwd, `${name}-json.json`));
    writeFileSync(join(cwd, `${name}-json.safetensors`), '');
    await refused(argv.map((word) => word.replace('?', `${name}-json`)));
  };

  test.each(cases)('%s: %s', check);

  // each waits a second for somebody to write, so all do at once
  test('pipes', () => Promise.all(piped.map((what) => check(what, 'pipe'))));

  test.each(Object.entries({ ...commands, ...texts }))('%s: names that no system takes', async (_, argv) => {
    writeFileSync(join(cwd, 'file'), 'x');
    for (const name of ['n'.repeat(300), `${'d/'.repeat(3000)}x`, 'file/below', 'nul\0byte']) {
      await refused(argv.map((word) => word.replace('?', name)));
    }
  });

  test('nothing is left behind', () => {
    expect(readdirSync(cwd).filter((name) => name.includes('subquad') || name.includes('part'))).toEqual([]);
  });
});
