import { normal } from '../core/random.js';
import type { Device } from '../devices/index.js';
import { attend } from '../ops/attend.js';
import { gradients, scope, tensor, type Tensor } from '../tensor/index.js';
import { checkBackward, checkForward, rowsToCheck } from './attend-check.js';
import type { BenchCase, BenchOptions, Pass, TimedCase } from './bench-case.js';
import { timeCases } from './bench-run.js';
import type { NamedMask } from './mask-names.js';
import type { Problem } from './reference.js';
import { worst } from './verdict.js';

/** Attention on normal inputs of one length, every mask and pass. */
export async function benchAttend(
  device: Device,
  length: number,
  options: BenchOptions,
  progress: (text: string) => void,
): Promise<TimedCase[]> {
  const { batch, heads, headDim, seed } = options;
  const draw = (what: string): Float32Array => normal(seed, `bench ${what}`, batch * heads * length * headDim);
  // masks of this study do not tell batches or heads apart, so that to the check they are all heads
  const problem: Problem = { heads: batch * heads, length, headDim, q: draw('q'), k: draw('k'), v: draw('v') };
  const dout = draw('dout');
  const shape = [batch, heads, length, headDim];
  const upload = (x: Float32Array, requiresGradient: boolean): Tensor => tensor(x, shape, { device, requiresGradient });
  const inputs = { q: upload(problem.q, true), k: upload(problem.k, true), v: upload(problem.v, true) };
  const cotangent = upload(dout, false);
  try {
    const cases: BenchCase[] = [];
    for (const mask of options.masks) {
      for (const pass of options.passes) {
        progress(`attend ${mask.name}, ${pass}, length ${length}: checking`);
        cases.push(await prepare(device, { problem, dout, inputs, cotangent, mask, pass, options, length }));
      }
    }
    return await timeCases(device, cases, options, progress, `attend, length ${length}`);
  } finally {
    for (const x of [...Object.values(inputs), cotangent]) x.dispose();
  }
}

interface Setting {
  readonly problem: Problem;
  readonly dout: Float32Array;
  readonly inputs: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor };
  readonly cotangent: Tensor;
  readonly mask: NamedMask;
  readonly pass: Pass;
  readonly options: BenchOptions;
  readonly length: number;
}

/** Runs a case once, holds the result to float64 and counts its bytes. */
async function prepare(device: Device, setting: Setting): Promise<BenchCase> {
  const { problem, dout, inputs, mask, pass, options, length } = setting;
  const { batch, heads, headDim } = options;
  const support = { causal: mask.causal, mask: mask.mask };
  const attendOptions = { causal: mask.causal, ...(mask.mask && { mask: mask.mask }) };
  const { q, k, v } = inputs;
  const compute = (): { out: Tensor; logsumexp: Tensor; gradients: Tensor[]; pairs: () => number } => {
    const { out, logsumexp, counters } = attend(q, k, v, attendOptions);
    const wanted = pass === 'forward' ? [] : gradients([out], [q, k, v], [setting.cotangent]);
    return { out, logsumexp, gradients: wanted, pairs: () => counters.pairsNeeded };
  };
  return scope(async (): Promise<BenchCase> => {
    const before = device.ledger.mark();
    const result = compute();
    const outputs = [result.out, ...result.gradients].reduce((bytes, x) => bytes + x.byteLength, 0);
    const ledgerBytes = device.ledger.peak - before - outputs;
    const rows = rowsToCheck(problem, options.seed);
    const forward = { out: await result.out.data(), logsumexp: await result.logsumexp.data() };
    const verdicts = [checkForward(problem, support, forward, rows)];
    if (pass === 'forward+backward') {
      const [dq, dk, dv] = await Promise.all(result.gradients.map((x) => x.data()));
      verdicts.push(checkBackward(problem, support, forward, dout, { dq: dq!, dk: dk!, dv: dv! }, rows));
    }
    return {
      description: { op: 'attend', pass, batch, heads, headDim, length, causal: mask.causal, mask: maskOf(mask) },
      flops: (pass === 'forward' ? 4 : 14) * result.pairs() * headDim,
      verdict: worst(verdicts),
      ledgerBytes,
      run: () => scope(() => void compute()),
    };
  });
}

/** The row says in its own field whether it is causal. */
const maskOf = ({ name, mask }: NamedMask): string => (mask === undefined ? 'none' : name.replace('/causal', ''));
