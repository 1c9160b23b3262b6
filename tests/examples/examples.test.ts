import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { mechanism, type Mechanism } from '../../src/attention/index.js';
import { compile } from '../../src/codegen/expression/index.js';
import { full } from '../support/full.js';

// the examples import the package; here that is the source, not what was built last
vi.mock('subquad', () => import('../../src/index.js'));
vi.mock('subquad/attention', () => import('../../src/attention/index.js'));
vi.mock('subquad/masks', () => import('../../src/masks/index.js'));
vi.mock('subquad/data', () => import('../../src/data/index.js'));
vi.mock('subquad/models', () => import('../../src/models/index.js'));
vi.mock('subquad/train', () => import('../../src/train/index.js'));

let folder = '';
beforeAll(() => {
  // natively in the full run only: each compiles a dozen kernels
  if (!full) vi.stubEnv('CC', 'none');
  folder = mkdtempSync(join(tmpdir(), 'subquad-examples-'));
  vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
});
afterAll(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

type Main<Result> = (settings: Readonly<Record<string, unknown>>) => Promise<Result & { readonly picture: string }>;

/** What an example finds. */
async function found<Result>(name: string, settings: Readonly<Record<string, unknown>> = {}): ReturnType<Main<Result>> {
  const example = (await import(new URL(`../../examples/${name}.mjs`, import.meta.url).href)) as { main: Main<Result> };
  return example.main({ folder, ...settings });
}

/** The numbers of an example, once its picture was looked at. */
async function run<Result>(name: string, settings: Readonly<Record<string, unknown>> = {}): Promise<Result> {
  const result = await found<Result>(name, settings);
  const svg = readFileSync(result.picture, 'utf8');
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  return result;
}

it('1: the window of the chapter has 246,656 pairs', async () => {
  const got = await run<{ pairs: number; fullPairs: number; visited: number; finite: boolean; weights: number[][][] }>(
    'window-mask',
  );
  expect(got.pairs).toBe(246_656);
  expect(got.fullPairs).toBe(1024 ** 2);
  expect(got.visited).toBeLessThan(got.fullPairs / 2);
  expect(got.finite).toBe(true);
  // position 0 sees 129 keys, all of them in the sample of 256
  const [full, windowed] = got.weights as [number[][], number[][]];
  expect(windowed[0]!.filter((weight) => weight > 0)).toHaveLength(129);
  expect(windowed[0]!.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
  expect(full[0]!.reduce((a, b) => a + b, 0)).toBeLessThan(1);
});

it('2: the table of costs, and a peak that grows with n', async () => {
  const { rows, peaks } = await run<{ rows: string[][]; peaks: [number, number][] }>('cost-table', {
    lengths: [256, 512],
  });
  const exact = new Map(rows.map(([quantity, , value]) => [quantity!, value!]));
  const want: Readonly<Record<string, string>> = {
    'scores of one head, n = 512': '1.05 MB',
    'scores of one head, n = 4096': '67.1 MB',
    'scores of 12 heads, n = 4096': '805.3 MB',
    'the same in 12 layers': '9.66 GB',
    '12 heads, 12 layers, n = 8192': '38.65 GB',
    '12 heads, 12 layers, n = 16384': '154.62 GB',
    'batch 8, 12 layers, n = 4096': '77.31 GB',
    'q, k, v of width 768, n = 4096': '37.7 MB',
    'with the scores': '104.9 MB',
    'with the scores of 12 heads': '843.1 MB',
    'full attention': '25,769,803,776',
    'Linformer, k = 256': '3,221,225,472',
    'window of 512, as n·w': '3,221,225,472',
    'window of 512, exactly': '3,126,460,416',
    'arithmetic saved by n·w': '87.50 %',
    'Longformer, 512 per side, 2 global': '3,950,074',
    'BigBird with 352 keys a query': '1,561,600',
  };
  for (const [quantity, value] of Object.entries(want))
    expect([quantity, exact.get(quantity)]).toEqual([quantity, value]);
  const [short, long] = peaks.map(([, bytes]) => bytes) as [number, number];
  // q, k, v, out and one number per row; beside them, workspace that does not grow
  expect(long - short).toBeGreaterThanOrEqual(256 * (4 * 768 + 12) * 4);
  expect(long).toBeLessThan(2.2 * short);
});

it('3: the chapter’s code has the floor that was computed, and FAVOR+ falls with m on small inputs', async () => {
  interface Curve {
    readonly points: readonly { readonly m: number; readonly mse: number; readonly cosine: number }[];
  }
  const got = await run<{
    floor: Record<'mse' | 'cosine' | 'power', number>;
    uniform: { mse: number };
    curves: Curve[];
  }>('performer-error', { features: [64, 512], draws: 10 });
  expect(got.floor.mse).toBeCloseTo(0.003053, 6);
  expect(got.floor.cosine).toBeCloseTo(0.6784, 4);
  expect(got.floor.power).toBeCloseTo(0.005611, 6);
  expect(got.uniform.mse).toBeCloseTo(0.003598, 6);
  const [chapter, plain, half, quarter, independent] = got.curves.map(({ points }) => points);
  // the means over ten projections, known from another implementation
  expect(chapter!.map(({ mse }) => Number(mse.toFixed(6)))).toEqual([0.003248, 0.00308]);
  expect(chapter![1]!.mse).toBeGreaterThan(got.floor.mse);
  expect(plain![1]!.mse).toBeGreaterThan(got.uniform.mse);
  expect(half![1]!.mse).toBeLessThan(half![0]!.mse);
  const slope = Math.log(quarter![1]!.mse / quarter![0]!.mse) / Math.log(8);
  expect(slope).toBeGreaterThan(-1.3);
  expect(slope).toBeLessThan(-0.5);
  expect(quarter![1]!.mse).toBeLessThan(independent![1]!.mse);
});

it('4: BigBird has 2,547,712 pairs, and the exercise 1,561,600', async () => {
  const got = await run<{
    pairs: number;
    cost: number;
    reading: number;
    exact: number;
    ofKind: number[];
    map: number[][];
  }>('bigbird-connections');
  expect(got.pairs).toBe(2_547_712);
  expect(got.cost).toBe(2_547_712);
  expect(got.reading).toBe(1_561_600);
  expect(got.exact).toBeGreaterThan(got.reading - 40_000);
  expect(got.ofKind.reduce((a, b) => a + b, 0) * 64 ** 2).toBe(2_547_712);
  expect(got.ofKind[2]).toBe(3 * 62);
  // every block between the first and the last sees its window, the two global blocks and three more
  for (const row of got.map.slice(3, -3)) expect(row.filter((kind) => kind >= 0)).toHaveLength(8);
});

it('the plugin: its cost counts the pairs of its pattern', async () => {
  const file = new URL('../../examples/sink-window.mjs', import.meta.url).href;
  const { sinkWindow } = (await import(file)) as { sinkWindow: Mechanism };
  for (const [n, options] of [
    [1, {}],
    [40, { sinks: 3, radius: 5 }],
    [9, { sinks: 20, radius: 2 }],
    [9, { sinks: 0, radius: 0 }],
  ] as const) {
    const shape = { B: 1, H: 2, G: 1, L: n, S: n, D: 8, E: 4 };
    const sees = compile(sinkWindow.pattern(shape, options)!.expression(shape), ['b', 'h', 'q', 'k']);
    let pairs = 0;
    for (let q = 0; q < n; q++) for (let k = 0; k <= q; k++) pairs += sees(0, 0, q, k);
    expect(sinkWindow.cost(shape, options)).toEqual({ pairs: 2 * pairs, multiplyAdds: 2 * pairs * (8 + 4) });
  }
});

// seconds of training: in the full run
it.runIf(full)('training: one mechanism of each family that has a causal form', async () => {
  interface Row {
    readonly [key: string]: unknown;
    readonly name: string;
    readonly family: string;
    readonly before: number;
    readonly bitsPerByte: number;
  }
  const { rows, fiveGram } = await found<{ rows: Row[]; fiveGram: number }>('train-families', {
    steps: 8,
    length: 64,
    batchSize: 4,
    width: 32,
  });
  expect(new Set(rows.map(({ family }) => family))).toEqual(
    new Set(['exact', 'patterns', 'kernel-methods', 'hashing', 'mixers']),
  );
  for (const row of rows) {
    expect(row.family, row.name).toBe(mechanism(row.name).definition.family);
    expect(row.bitsPerByte, row.name).toBeLessThan(row.before - 0.5);
    for (const key of ['parameters', 'rate', 'peak']) expect(row[key], `${row.name}, ${key}`).toBeGreaterThan(0);
  }
  expect(fiveGram).toBeGreaterThan(1);
});

it('training: a needle is found within reach', async () => {
  interface Found {
    readonly grids: readonly { readonly title: string; readonly shares: number[][] }[];
  }
  const quick = { steps: 2, lengths: [60, 64], depths: [0, 1], samples: 4 };
  const { grids } = await run<Found>('needle', full ? { lengths: [64, 128, 192] } : quick);
  const [all, window] = grids.map(({ shares }) => shares.flat());
  expect(all).toHaveLength(full ? 15 : 4);
  for (const share of [...all!, ...window!]) expect(share >= 0 && share <= 1).toBe(true);
  if (!full) return;
  expect(Math.min(...all!)).toBeGreaterThan(0.95);
  // at the beginning, further away than two windows of 32; and just before the question
  const [beginning, end] = [grids[1]!.shares[0]!, grids[1]!.shares.at(-1)!];
  expect(Math.max(...beginning.slice(1))).toBeLessThan(0.25);
  expect(Math.min(...end)).toBeGreaterThan(0.4);
});
