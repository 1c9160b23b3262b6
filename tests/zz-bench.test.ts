import { test } from 'vitest';
import { createDevice } from '../src/devices/index.js';
import * as ops from '../src/ops/index.js';
import { scope, tensor, gradients, type Tensor } from '../src/tensor/index.js';
test('bench', async () => {
  for (const kind of ['wasm', 'native'] as const) {
    const device = await createDevice({ kind, threads: 1 });
    const N = 1024, D = 1024;
    const data = Float32Array.from({ length: N * D }, (_, i) => Math.sin(i));
    const x = tensor(data, [N, D], { device, requiresGradient: true });
    const w = tensor(data.subarray(0, D), [D], { device, requiresGradient: true });
    const small = tensor([1, 2, 3], [3], { device });
    const x4 = ops.reshape(x, [4, 256, 16, 64]);
    const time = (name: string, bytes: number, f: () => unknown, reps = 20): void => {
      const g = () => { f(); }; scope(g); scope(g);
      const times: number[] = [];
      for (let i = 0; i < reps; i++) { const t = performance.now(); scope(g); times.push(performance.now() - t); }
      times.sort((a, b) => a - b);
      const ms = times[reps >> 1]!;
      console.log(kind, name.padEnd(22), ms.toFixed(3), 'ms', (bytes / ms / 1e6).toFixed(2), 'GB/s');
    };
    const MB = 4 * N * D;
    time('small add', 0, () => ops.add(small, small), 2000);
    time('small map fn', 0, () => ops.map((a) => a.mul(2).add(1), small), 2000);
    time('add', 3 * MB, () => ops.add(x, x));
    time('add row', 2 * MB, () => ops.add(x, w));
    time('gelu', 2 * MB, () => ops.gelu(x));
    time('exp', 2 * MB, () => ops.exp(x));
    time('cast f16', 1.5 * MB, () => ops.cast(x, 'f16'));
    time('sum all', MB, () => ops.sum(x));
    time('sum -1', MB, () => ops.sum(x, { axes: -1 }));
    time('sum 0', MB, () => ops.sum(x, { axes: 0 }));
    time('softmax', 2 * MB, () => ops.softmax(x));
    time('softmax axis 0', 2 * MB, () => ops.softmax(x, { axis: 0 }));
    time('logsumexp', MB, () => ops.logsumexp(x, { axes: -1 }));
    time('layerNorm', 2 * MB, () => ops.layerNorm(x, { weight: w, bias: w }));
    time('layerNorm+grad', 6 * MB, () => { const y = ops.layerNorm(x, { weight: w, bias: w }); return gradients([y], [x, w], [ops.detach(x)]); });
    time('transpose', 2 * MB, () => ops.transpose(x));
    time('transpose BLHD', 2 * MB, () => ops.transpose(x4, [0, 2, 1, 3]));
    time('slice cols', 1 * MB, () => ops.slice(x, { axis: 1, start: 100, end: 612 }));
    time('concat', 4 * MB, () => ops.concat([x, x], { axis: 1 }));
    time('argmax', MB, () => ops.argmax(x, { axis: -1 }));
    scope(() => { x4.dispose(); });
    await device.dispose();
  }
}, 120000);
