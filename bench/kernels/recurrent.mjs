// The ladder of states that forget and are written to: each rung runs in turns with the others, on one thread.
//   npm run build && node bench/kernels/recurrent.mjs [native|wasm] [heads,n,M,E …]
// Times are per position and head; beside them the rate of the multiply-adds that the plain recurrence needs.
import { createDevice } from '../../dist/index.js';
import { attend, linearAttend, recurrentAttend } from '../../dist/ops/index.js';
import { gradients, scope, tensor, zeros } from '../../dist/tensor/index.js';

const [kind = 'native', ...given] = process.argv.slice(2);
const shapes = given.length > 0 ? given : ['4,16384,64,64'];
const device = await createDevice({ kind, threads: 1 });
const random = (length, least = -1, most = 1) =>
  Float32Array.from({ length }, (_, i) => least + ((most - least) * ((i * 2654435761) % 65536)) / 65536);
const median = (times) => [...times].sort((x, y) => x - y)[times.length >> 1];

function rungs({ q, k, v, head, feature, beta, dout }) {
  const both = (run) => ({
    forward: () => scope(() => void run()),
    'and backward': () =>
      scope(() => {
        const { out, inputs } = run();
        gradients([out], inputs, [dout]);
      }),
  });
  const recurrent = (options, chunk) =>
    both(() => ({
      out: recurrentAttend(q, k, v, { ...options, chunk }).out,
      inputs: [q, k, v, ...Object.values(options)],
    }));
  const decayed = { causal: true, normalise: false, decay: head };
  return {
    'linearAttend, decay by head': both(() => ({
      out: linearAttend(q, k, v, decayed).out,
      inputs: [q, k, v, head],
    })),
    'attend (flash)': both(() => ({ out: attend(q, k, v, { causal: true }).out, inputs: [q, k, v] })),
    ...Object.fromEntries(
      [4, 6, 8, 12, 16, 24, 32].flatMap((chunk) => [
        [`decay by head, ${chunk}`, recurrent({ decay: head }, chunk)],
        [`decay by feature, ${chunk}`, recurrent({ decay: feature }, chunk)],
        [`delta, ${chunk}`, recurrent({ beta }, chunk)],
        [`delta, decay by head, ${chunk}`, recurrent({ decay: head, beta }, chunk)],
      ]),
    ),
  };
}

for (const given of shapes) {
  const [heads, n, M, E] = given.split(',').map(Number);
  const make = (columns, least, most) =>
    tensor(random(heads * n * Math.max(1, columns), least, most), columns ? [1, heads, n, columns] : [1, heads, n], {
      device,
      requiresGradient: true,
    });
  const k = make(M, -(M ** -0.5), M ** -0.5);
  const tensors = { q: make(M), k, v: make(E), head: make(0, -0.2, 0), feature: make(M, -0.2, 0), beta: make(0, 0, 1) };
  const all = Object.entries(rungs({ ...tensors, dout: zeros([1, heads, n, E], { device }) }));
  const timed = all.flatMap(([name, ways]) =>
    Object.entries(ways).map(([way, run]) => ({ name, way, run, times: [] })),
  );
  const slow = ({ name }) => name.includes('flash');
  for (const one of timed) if (!slow(one)) one.run();
  for (let round = 0; round < 5; round++)
    for (const one of timed) {
      if (slow(one) && round > 0) continue;
      const start = performance.now();
      one.run();
      one.times.push(performance.now() - start);
    }
  console.log(`${kind}, ${device.info.width} lanes, [${given}]`);
  for (const [name] of all) {
    const own = timed
      .filter((one) => one.name === name)
      .map(({ way, times }) => {
        const each = (1e6 * median(times)) / (heads * n);
        return `${way} ${each.toFixed(0)} ns`;
      });
    console.log(`  ${name}: ${own.join(', ')}`);
  }
}
await device.close?.();
