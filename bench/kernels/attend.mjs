// Attention's kernels on one thread as shares of the peak, by the best of many runs so short that some fall between the
// interruptions of a busy machine.
//   npm run build && node bench/kernels/attend.mjs [native|wasm] [head size]        CC="cc -mno-avx512f" makes AVX2 code
// One tile of 64 queries is one task; whole steps are compared in turns by subquad bench. What each rung taught is in attend.md.
import { createDevice } from '../../dist/index.js';
import { attend, matmul } from '../../dist/ops/index.js';
import { doubtOf, measurePeak, shareOf } from '../../dist/studies/peak.js';
import { gradients, scope, tensor } from '../../dist/tensor/index.js';

const [kind = 'native', size = '64'] = process.argv.slice(2);
const D = Number(size);
const device = await createDevice({ kind, threads: 1 });
const random = (...shape) => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * i));
  return tensor(values, shape, { device, requiresGradient: true });
};

const cases = [];
for (const [L, S] of [
  [64, 640],
  [64, 4096],
  [64, 16384],
]) {
  const [q, k, v] = [random(1, 1, L, D), random(1, 1, S, D), random(1, 1, S, D)];
  cases.push({ name: `forward, ${L} queries, ${S} keys`, flops: 4 * L * S * D, run: () => attend(q, k, v) });
}
for (const [L, S] of [
  [192, 1024],
  [384, 4096],
]) {
  const [q, k, v, d] = [random(1, 1, L, D), random(1, 1, S, D), random(1, 1, S, D), random(1, 1, L, D)];
  const run = () => gradients([attend(q, k, v).out], [q, k, v], [d]);
  cases.push({ name: `forward + backward, ${L} queries, ${S} keys`, flops: 14 * L * S * D, run });
}
for (const [M, N, K] of [
  [96, 512, 1024],
  [1024, 1024, 1024],
]) {
  const [a, b] = [random(M, K), random(K, N)];
  cases.push({ name: `matmul ${M}×${N}, inner sum of ${K}`, flops: 2 * M * N * K, run: () => matmul(a, b) });
}

const peak = await measurePeak(device);
console.log(
  `${kind}, ${device.info.width} lanes, peak ${peak.gflopsOneThread.toFixed(0)} GFLOP/s ${doubtOf(peak) ?? ''}`,
);
const best = cases.map(() => Infinity);
for (let round = 0; round < 200; round++) {
  cases.forEach(({ run }, i) => {
    const start = performance.now();
    scope(() => void run());
    best[i] = Math.min(best[i], performance.now() - start);
  });
}
cases.forEach(({ name, flops }, i) => {
  const rate = flops / best[i] / 1e6;
  const share = shareOf(rate, peak.gflopsOneThread);
  const said = share === null ? 'more than the peak: measured wrongly' : `${(100 * share).toFixed(0)} %`;
  console.log(`  ${name.padEnd(44)} ${rate.toFixed(1).padStart(6)} GFLOP/s  ${said}`);
});
await device.dispose();
