import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Compiler, findCompiler } from '../../../src/devices/cpu/compiler.js';
import { fakeCompiler } from './fake-compiler.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'subquad-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const find = (env: NodeJS.ProcessEnv): Promise<Compiler | string> => findCompiler({ PATH: folder, ...env });

// scripts stand in for compilers, and Windows does not run them
describe.skipIf(process.platform === 'win32')('findCompiler', () => {
  test.each([
    ['#define __x86_64__ 1', 4, false],
    ['#define __AVX2__ 1', 4, false],
    ['#define __AVX2__ 1\n#define __FMA__ 1', 8, true],
    ['#define __AVX2__ 1\n#define __FMA__ 1\n#define __AVX512F__ 1', 16, true],
    ['#define __ARM_FEATURE_FMA 1', 4, true],
  ])('macros %j mean %d lanes', async (macros, width, fusedMultiplyAdd) => {
    fakeCompiler(folder, { macros });
    const compiler = await find({});
    expect(compiler).toMatchObject({ command: 'cc', version: 'fake 1.0', width, fusedMultiplyAdd });
    const { flags } = compiler as Compiler;
    expect(flags.includes('-mprefer-vector-width=512')).toBe(width === 16);
    expect(flags).toContain('-march=native');
    expect(flags).not.toContain('-ffast-math');
  });

  test('a compiler that does not know -march=native is asked for -mcpu=native, then for nothing', async () => {
    fakeCompiler(folder, { refuses: '-march=native' });
    expect(((await find({})) as Compiler).flags).toContain('-mcpu=native');
  });

  test('CC comes first, with its arguments; then cc, gcc, clang', async () => {
    const named = fakeCompiler(folder, {}, 'my-cc');
    fakeCompiler(folder, {}, 'clang');
    expect(await find({})).toMatchObject({ command: 'clang' });
    fakeCompiler(folder, {}, 'gcc');
    const compiler = await find({ CC: `${named} -m64` });
    expect(compiler).toMatchObject({ command: named });
    expect((compiler as Compiler).flags[0]).toBe('-m64');
  });

  test('a CC that does not work is an error, although another compiler would', async () => {
    fakeCompiler(folder);
    expect(await find({ CC: 'missing-cc -O1' })).toBe(
      'CC is set to "missing-cc -O1", which does not work (command not found); correct CC or unset it.',
    );
    writeFileSync(join(folder, 'plain'), '');
    expect(await find({ CC: join(folder, 'plain') })).toMatch(/does not work \(.*EACCES.*\); correct CC/);
    const refusing = fakeCompiler(folder, { refuses: '-dM' }, 'refusing');
    expect(await find({ CC: refusing })).toMatch(/does not work \(fake: unsupported -dM\)/);
  });

  test('a program that answers anything is no compiler', async () => {
    const answers = fakeCompiler(folder, { macros: '' }, 'answers');
    expect(await find({ CC: answers })).toBe(
      `CC is set to "${answers}", which does not work (it names no macros of its target, as a C compiler does for -dM -E); ` +
        'correct CC or unset it.',
    );
  });

  test('no compiler at all is a sentence with a remedy', async () => {
    expect(await find({})).toBe('no C compiler was found (tried CC, cc, gcc, clang); install gcc or clang, or set CC.');
  });

  test('the identity follows compiler, flags and target', async () => {
    const identities = new Set<string>();
    for (const macros of ['#define A 1', '#define A 2']) {
      for (const flag of ['', ' -m64']) {
        const command = fakeCompiler(folder, { macros }, `cc-${identities.size}`);
        identities.add(((await find({ CC: command + flag })) as Compiler).identity.replaceAll(command, 'cc'));
      }
    }
    expect(identities.size).toBe(4);
  });
});
