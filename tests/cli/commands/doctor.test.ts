import { describe, expect, test } from 'vitest';
import { cli } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];

describe('doctor', () => {
  test('says what the machine has and why the device was chosen', async () => {
    const { code, out } = await cli(['doctor', ...wasm]);
    expect(code).toBe(0);
    for (const name of ['processor', 'cores', 'SIMD', 'threads', 'compiler', 'cache', 'peak', 'bandwidth']) {
      expect(out).toMatch(new RegExp(`^${name} `, 'm'));
    }
    expect(out).toContain('Why this device\n  WebAssembly, as asked.');
  });

  test('--json prints JSON alone', async () => {
    const { out } = await cli(['doctor', ...wasm, '--json']);
    const { machine, peak, cache } = JSON.parse(out) as Record<'machine' | 'peak', object> & { cache: string };
    expect(machine).toMatchObject({ device: { kind: 'wasm', threads: 1 } });
    expect(peak).toMatchObject({ device: 'wasm', threads: 1 });
    expect(cache).toMatch(/subquad/);
  });
});
