import { test } from 'vitest';
import { createDevice } from '../src/devices/index.js';
import { runCopy } from '../src/tensor/copy.js';
import { empty, tensor } from '../src/tensor/index.js';
test('alloc', async () => {
  for (const kind of ['wasm', 'native'] as const) {
    const device = await createDevice({ kind, threads: 1 });
    const time = (name: string, bytes: number, f: () => void): void => {
      f(); f();
      const times: number[] = [];
      for (let i = 0; i < 40; i++) { const t = performance.now(); f(); times.push(performance.now() - t); }
      times.sort((a, b) => a - b);
      console.log(kind, name, times[20]!.toFixed(3), 'ms', times[2]!.toFixed(3), (bytes / times[2]! / 1e6).toFixed(1), 'GB/s');
    };
    for (const n of [1024, 1000]) {
    const N = n * n;
    const x = tensor(new Float32Array(N), [n, n], { device });
    const y = empty([n, n], 'f32', device);
    time('transpose', 8 * N, () => runCopy([n, n], x, { offset: 0, steps: [1, n] }, y, { offset: 0, steps: [n, 1] }));
    const h = empty([n, n], 'f16', device), g = empty([n, n], 'f16', device);
    time('transpose f16', 4 * N, () => runCopy([n, n], h, { offset: 0, steps: [1, n] }, g, { offset: 0, steps: [n, 1] }));
    x.dispose(); y.dispose(); h.dispose(); g.dispose();
    }
    await device.dispose();
  }
}, 120000);
