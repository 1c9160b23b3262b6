// The ladder of the matrix product: each rung is run, checked and timed in turns, on one thread.
//   npm run build && node bench/kernels/matmul.mjs [native|wasm] [M,N,K …]
// With the packages of bench/peers installed, onnxruntime is one more rung. What each rung taught is in matmul.md.
import { createRequire } from 'node:module';
import { createDevice } from '../../dist/index.js';
import { noEpilogue } from '../../dist/kernels/matmul/epilogue.js';
import { launchMatmul } from '../../dist/kernels/matmul/launch.js';
import { panelColumns, planMultiply, planVector } from '../../dist/kernels/matmul/layout.js';
import { multiplyKernel, multiplyScratch } from '../../dist/kernels/matmul/multiply.js';
import { packKernel, packRowsPerTask } from '../../dist/kernels/matmul/pack.js';
import { vectorKernel, vectorScratch } from '../../dist/kernels/matmul/vector.js';

const [kind = 'native', ...given] = process.argv.slice(2);
const shapes = given.length > 0 ? given : ['1024,1024,1024', '4096,4096,64', '4096,64,4096', '4,4096,1024'];
const device = await createDevice({ kind, threads: 1 });
const { width } = device.info;
const f32 = { dtype: 'f32', contiguous: true };
const once = { batches: 1, aDiv: 1, aMod: 1, bDiv: 1, bMod: 1 };

/** Rungs from the bottom: each writes `c`. */
function rungs({ M, N, K, a, b, c, packed }) {
  const common = { a, bias: c, out: c, kept: c, M, N, K, aRow: K, aColumn: 1, ...once };
  const multiply = (plan, b, from) => {
    const { kernel, pack } = multiplyKernel({ rows: plan.rows, a: 'f32', b, bias: undefined, epilogue: noEpilogue });
    device.run(kernel, pack({ ...common, b: from, ...plan }), plan.tasks, {
      scratchBytes: multiplyScratch(width, plan),
    });
  };
  // one split, so that every rung ends in `c`
  const plan = { ...planMultiply({ batches: 1, M, N, K }, width), splits: 1, splitDepth: K };
  plan.tasks = plan.blocks * plan.ranges;
  const packB = () => {
    const stretches = Math.ceil(K / packRowsPerTask);
    const { kernel, pack } = packKernel(f32);
    device.run(kernel, pack({ b, packed, N, K, panels: plan.panels, stretches }), plan.panels * stretches);
  };
  return {
    'row by row': () => {
      const row = { ...planVector({ batches: M, N, K }), splitDepth: K };
      const { kernel, pack } = vectorKernel({ x: 'f32', b: f32, bias: undefined, epilogue: noEpilogue });
      const walks = { batches: M, xDiv: 1, xMod: M, bDiv: M, bMod: 1 };
      const args = pack({ x: a, b, bias: c, out: c, kept: c, N, K, ...walks, ...row });
      device.run(kernel, args, M * row.ranges, { scratchBytes: vectorScratch(row) });
    },
    'tasks pack B': () => multiply({ ...plan, packed: false, byRows: 0 }, f32, b),
    'B packed once': () => {
      packB();
      multiply({ ...plan, packed: true, byRows: 0 }, 'packed', packed);
    },
    'by rows': () => {
      packB();
      multiply({ ...plan, packed: true, byRows: 1 }, 'packed', packed);
    },
    'the choice made': () => {
      const stack = (buffer) => ({ buffer, dtype: 'f32', transposed: false, batch: [] });
      launchMatmul(device, { a: stack(a), b: stack(b), out: c, batch: [], M, N, K });
    },
  };
}

async function peer({ M, N, K, A, B }) {
  try {
    const require = createRequire(new URL('../peers/package.json', import.meta.url));
    const { model } = await import('../peers/.build/onnx.js');
    const web = kind === 'wasm';
    const ort = web ? (await import(require.resolve('onnxruntime-web'))).default : require('onnxruntime-node');
    if (web) ort.env.wasm.numThreads = 1;
    const graph = model({ type: 'MatMul', domain: '', inputs: { a: [M, K], b: [K, N] }, output: [M, N] });
    const native = { executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1 };
    const session = await ort.InferenceSession.create(graph, web ? { executionProviders: ['wasm'] } : native);
    const feeds = { a: new ort.Tensor('float32', A, [M, K]), b: new ort.Tensor('float32', B, [K, N]) };
    return { name: web ? 'onnxruntime-web' : 'onnxruntime-node', run: () => session.run(feeds) };
  } catch (error) {
    console.log(`  no onnxruntime: ${error.message}`);
    return undefined;
  }
}

/** The largest error at sampled places, against float64. */
function errorOf(c, { M, N, K, A, B }) {
  let largest = 0;
  for (let sample = 0; sample < 300; sample++) {
    // corners first: edges of tiles are where kernels go wrong
    const i = sample < 20 ? M - 1 - (sample % Math.min(M, 7)) : (sample * 7919) % M;
    const j = sample < 20 ? N - 1 - (sample % Math.min(N, 5)) : (sample * 104729) % N;
    let sum = 0;
    for (let k = 0; k < K; k++) sum += A[i * K + k] * B[k * N + j];
    const error = Math.abs(c[i * N + j] - sum);
    largest = error <= largest ? largest : error;
  }
  return largest;
}

const median = (times) => [...times].sort((x, y) => x - y)[times.length >> 1];
const random = (length) => Float32Array.from({ length }, (_, i) => ((i * 2654435761) % 65536) / 65536 - 0.5);

for (const shape of shapes) {
  const [M, N, K] = shape.split(',').map(Number);
  const [A, B] = [random(M * K), random(K * N)];
  const panel = panelColumns(width);
  const sizes = [M * K, K * N, M * N, Math.ceil(N / panel) * panel * K];
  const [a, b, c, packed] = sizes.map((size) => device.allocate(4 * size, 'workspace'));
  device.write(a, A);
  device.write(b, B);
  const problem = { M, N, K, A, B, a, b, c, packed };
  const entries = Object.entries(rungs(problem)).map(([name, run]) => ({ name, run, times: [], busy: [] }));
  const errors = new Map();
  for (const { name, run } of entries) {
    device.write(c, new Float32Array(M * N).fill(NaN));
    run();
    const out = new Float32Array((await device.read(c)).buffer, 0, M * N);
    errors.set(name, errorOf(out, problem));
  }
  const other = await peer(problem);
  if (other) entries.push({ ...other, times: [], busy: [] });
  const flops = 2 * M * N * K;
  for (let round = 0; round < 17; round++) {
    for (const { run, times, busy } of entries) {
      const start = performance.now();
      const used = process.cpuUsage();
      const pending = run();
      if (pending instanceof Promise) await pending;
      // the first rounds let V8 compile
      const { user, system } = process.cpuUsage(used);
      if (round <= 3) continue;
      times.push(performance.now() - start);
      busy.push((user + system) / 1000);
    }
  }
  console.log(`${kind} ${M}×${N}, inner sum of ${K}`);
  for (const { name, times, busy } of entries) {
    const rate = (ms) => (flops / ms / 1e6).toFixed(1).padStart(6);
    const [ms, cpu] = [median(times), median(busy)];
    const error = errors.has(name) ? `   error ${errors.get(name).toExponential(1)}` : '';
    console.log(
      `  ${name.padEnd(18)} ${ms.toFixed(2).padStart(8)} ms ${rate(ms)} GFLOP/s, ${rate(cpu)} by processor time${error}`,
    );
  }
  for (const buffer of [a, b, c, packed]) device.free(buffer);
}
await device.dispose();
