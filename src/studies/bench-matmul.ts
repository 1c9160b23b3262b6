import { normal } from '../core/random.js';
import type { Device } from '../devices/index.js';
import { matmul } from '../ops/matmul.js';
import { gradients, scope, tensor, type Tensor } from '../tensor/index.js';
import type { BenchCase, BenchOptions, Pass, TimedCase } from './bench-case.js';
import { timeCases } from './bench-run.js';
import { sampleRows } from './reference.js';
import { Check, type Verdict, worst } from './verdict.js';

/** `[batch, n, n]` times `[batch, n, n]` on normal inputs. */
export async function benchMatmul(
  device: Device,
  n: number,
  options: BenchOptions,
  progress: (text: string) => void,
): Promise<TimedCase[]> {
  const { batch, seed } = options;
  const host = ['a', 'b', 'dc'].map((what) => normal(seed, `bench ${what}`, batch * n * n)) as Host;
  const upload = (x: Float32Array, requiresGradient: boolean): Tensor =>
    tensor(x, [batch, n, n], { device, requiresGradient });
  const inputs = [upload(host[0], true), upload(host[1], true), upload(host[2], false)] as const;
  try {
    const cases: BenchCase[] = [];
    for (const pass of options.passes) {
      progress(`matmul ${n}, ${pass}: checking`);
      cases.push(await prepare(device, n, pass, host, inputs, options));
    }
    return await timeCases(device, cases, options, progress, `matmul ${n}`);
  } finally {
    for (const x of inputs) x.dispose();
  }
}

type Host = [a: Float32Array, b: Float32Array, dc: Float32Array];

function prepare(
  device: Device,
  n: number,
  pass: Pass,
  [a, b, dc]: Host,
  [ta, tb, tdc]: readonly [Tensor, Tensor, Tensor],
  { batch, seed }: BenchOptions,
): Promise<BenchCase> {
  const compute = (): Tensor[] => {
    const c = matmul(ta, tb);
    return pass === 'forward' ? [c] : [c, ...gradients([c], [ta, tb], [tdc])];
  };
  return scope(async (): Promise<BenchCase> => {
    const before = device.ledger.mark();
    const results = compute();
    const ledgerBytes = device.ledger.peak - before - results.reduce((bytes, x) => bytes + x.byteLength, 0);
    const got = await Promise.all(results.map((x) => x.data()));
    const at = (x: Float32Array, m: number, i: number, j: number): number => x[(m * n + i) * n + j]!;
    // each as the product of a row of one matrix and all columns of another
    const products: readonly Product[] = [
      (m, i, j, k) => [at(a, m, i, k), at(b, m, k, j)],
      (m, i, j, k) => [at(dc, m, i, k), at(b, m, j, k)],
      (m, i, j, k) => [at(a, m, k, i), at(dc, m, k, j)],
    ];
    const verdicts = got.map((x, which) => checkRows(x, products[which]!, n, batch, seed));
    return {
      description: { op: 'matmul', pass, batch, heads: 1, headDim: n, length: n, causal: false, mask: 'none' },
      flops: (pass === 'forward' ? 2 : 6) * batch * n ** 3,
      verdict: worst(verdicts),
      ledgerBytes,
      run: () => scope(() => void compute()),
    };
  });
}

/** The k-th factors of element (i, j) of matrix m. */
type Product = (m: number, i: number, j: number, k: number) => readonly [number, number];

function checkRows(got: ArrayLike<number>, product: Product, n: number, batch: number, seed: number): Verdict {
  const check = new Check();
  for (const { h: m, i } of sampleRows(batch, n, Math.max(1, Math.ceil(4 / batch)), seed)) {
    for (let j = 0; j < n; j++) {
      let [exact, plain] = [0, 0];
      for (let k = 0; k < n; k++) {
        const [x, y] = product(m, i, j, k);
        exact += x * y;
        plain = Math.fround(plain + Math.fround(x * y));
      }
      check.add(got[(m * n + i) * n + j]!, exact, plain);
    }
  }
  return check.verdict();
}
