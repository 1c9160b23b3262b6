import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];

describe('bench', () => {
  test('writes exactly machine, peak, rows and faults', async () => {
    const cwd = temporaryFolder();
    const argv = ['bench', 'attend', ...wasm, '--heads', '2', '--head-dim', '8', '--length', '24', '--rounds', '1'];
    const { code, out } = await cli([...argv, '--mask', 'none,causal,within:radius=3', '--json', 'out.json'], { cwd });
    expect(code).toBe(0);
    expect(out).toContain('4·pairs·D forward');
    expect(out.match(/ ok\n/g)).toHaveLength(6);
    expect(readdirSync(cwd)).toEqual(['out.json']);
    const result = JSON.parse(readFileSync(join(cwd, 'out.json'), 'utf8')) as Record<string, object[]>;
    expect(Object.keys(result)).toEqual(['machine', 'peak', 'rows', 'faults']);
    expect(result['rows']).toHaveLength(6);
    const fields = {
      op: 'attend',
      pass: expect.stringMatching(/^forward(\+backward)?$/),
      device: 'wasm',
      threads: 1,
      batch: 1,
      heads: 2,
      headDim: 8,
      length: 24,
      causal: expect.any(Boolean),
      mask: expect.any(String),
      milliseconds: expect.any(Number),
      gflops: expect.any(Number),
      // a busy machine may measure its peak wrongly, and says so
      peakShare: result['faults']!.length > 0 ? null : expect.any(Number),
      ledgerBytes: expect.any(Number),
      checked: true,
    };
    for (const row of result['rows']!) {
      expect(row).toEqual(fields);
      expect(Object.keys(row)).toEqual(Object.keys(fields));
    }
  });

  test('--json - prints JSON alone', async () => {
    const { out } = await cli(['bench', 'matmul', ...wasm, '--length', '16', '--rounds', '1', '--json', '-']);
    const { rows } = JSON.parse(out) as { rows: { op: string; headDim: number }[] };
    expect(rows.map(({ op, headDim }) => [op, headDim])).toEqual([
      ['matmul', 16],
      ['matmul', 16],
    ]);
  });
});
