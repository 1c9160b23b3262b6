// The ladder of chunked linear attention: each rung is run, checked and timed in turns, on one thread.
//   npm run build && node bench/kernels/linear-attend.mjs [native|wasm] [heads,n,M,E …]
// Rates count the multiply-adds that a rung executes; "per position" counts 4·M·E, what no chunk size can avoid.
import { createDevice } from '../../dist/index.js';
import { launchMatmul } from '../../dist/kernels/matmul/launch.js';
import { linearAttend, matmul, transpose } from '../../dist/ops/index.js';
import { shareOf } from '../../dist/studies/peak.js';
import { gradients, scope, tensor, zeros } from '../../dist/tensor/index.js';

const [kind = 'native', ...given] = process.argv.slice(2);
const shapes = given.length > 0 ? given : ['12,16384,64,64', '4,16384,256,64', '1,65536,64,64'];
const device = await createDevice({ kind, threads: 1 });
const random = (length) => Float32Array.from({ length }, (_, i) => ((i * 2654435761) % 65536) / 65536 + 0.1);
const median = (times) => [...times].sort((x, y) => x - y)[times.length >> 1];

/** The product of two matrices of 1024, the rate everything is compared with. */
function yardstick() {
  const [a, b, c] = [0, 1, 2].map(() => device.allocate(4 << 20, 'workspace'));
  for (const buffer of [a, b]) device.write(buffer, random(1 << 20));
  const stack = (buffer) => ({ buffer, dtype: 'f32', transposed: false, batch: [] });
  const call = { a: stack(a), b: stack(b), out: c, batch: [], M: 1024, N: 1024, K: 1024 };
  return () => launchMatmul(device, call);
}

function rungs({ q, k, v, heads, n, E }) {
  const forward = (options) => () => scope(() => void linearAttend(q, k, v, options));
  const dout = zeros([1, heads, n, E], { device });
  const all = {
    'sums by matmul': () => scope(() => void matmul(q, matmul(transpose(k), v))),
    'all see all': forward({}),
    'chunks of 24': forward({ causal: true, chunk: 24 }),
    'chunks of 48': forward({ causal: true, chunk: 48 }),
    'chunks of 64': forward({ causal: true, chunk: 64 }),
    'chunks of 96': forward({ causal: true, chunk: 96 }),
    'chunks of 192': forward({ causal: true, chunk: 192 }),
    'not normalised': forward({ causal: true, normalise: false }),
    'the choice made': forward({ causal: true }),
    decay: () => scope(() => void linearAttend(q, k, v, { causal: true, decay: zeros([1, heads, n], { device }) })),
    'and backward': () => scope(() => void gradients([linearAttend(q, k, v, { causal: true }).out], [q, k, v], [dout])),
  };
  return all;
}

/** The largest error of the causal rung at sampled rows of the last head, against float64. */
async function errorOf({ q, k, v, heads, n, M, E, Q, K, V }) {
  const { out, state } = linearAttend(q, k, v, { causal: true });
  const got = await out.data();
  out.dispose();
  state.dispose();
  const first = (heads - 1) * n;
  const [sum, z] = [new Float64Array(M * E), new Float64Array(M)];
  let largest = 0;
  for (let t = 0; t < n; t++) {
    for (let m = 0; m < M; m++) {
      const key = K[(first + t) * M + m];
      z[m] += key;
      for (let e = 0; e < E; e++) sum[m * E + e] += key * V[(first + t) * E + e];
    }
    if (t % 997 !== 0 && t !== n - 1) continue;
    let divisor = 1e-6;
    for (let m = 0; m < M; m++) divisor += Q[(first + t) * M + m] * z[m];
    for (let e = 0; e < E; e++) {
      let want = 0;
      for (let m = 0; m < M; m++) want += Q[(first + t) * M + m] * sum[m * E + e];
      largest = Math.max(largest, Math.abs(got[(first + t) * E + e] - want / divisor));
    }
  }
  return largest;
}

for (const shape of shapes) {
  const [heads, n, M, E] = shape.split(',').map(Number);
  const [Q, K, V] = [random(heads * n * M), random(heads * n * M).reverse(), random(heads * n * E)];
  const [q, k, v] = [
    [Q, M],
    [K, M],
    [V, E],
  ].map(([data, columns]) => tensor(data, [1, heads, n, columns], { device, requiresGradient: true }));
  const problem = { q, k, v, heads, n, M, E, Q, K, V };
  console.log(
    `${kind} ${heads} heads, n = ${n}, M = ${M}, E = ${E}: error ${(await errorOf(problem)).toExponential(1)}`,
  );
  const entries = [['matmul 1024³', yardstick()], ...Object.entries(rungs(problem))].map(([name, run]) => {
    const before = device.counters.multiplyAdds;
    run();
    return { name, run, work: device.counters.multiplyAdds - before, times: [], busy: [] };
  });
  for (let round = 0; round < 7; round++) {
    for (const { run, times, busy } of entries) {
      const start = performance.now();
      const used = process.cpuUsage();
      run();
      // the first rounds let V8 compile
      const { user, system } = process.cpuUsage(used);
      if (round <= 1) continue;
      times.push(performance.now() - start);
      busy.push((user + system) / 1000);
    }
  }
  const least = 2 * heads * n * M * E;
  const yard = entries[0].work / median(entries[0].busy);
  for (const { name, work, times, busy } of entries) {
    const [ms, cpu] = [median(times), median(busy)];
    const rate = ((2 * work) / cpu / 1e6).toFixed(1).padStart(6);
    const found = shareOf(work / cpu, yard);
    const share = (found === null ? 'above 100' : (100 * found).toFixed(0)).padStart(4);
    const useful = name.startsWith('matmul')
      ? ''
      : `, ${((2 * least) / cpu / 1e6).toFixed(1).padStart(6)} per position`;
    console.log(
      `  ${name.padEnd(16)} ${ms.toFixed(1).padStart(8)} ms ${rate} GFLOP/s by processor time, ${share} % of matmul${useful}`,
    );
  }
  for (const x of [q, k, v]) x.dispose();
}
await device.dispose();
