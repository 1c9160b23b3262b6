// Tokens per second of a decoder far into a text, against reading its matrices once as fast as this machine reads memory: a kernel
// that sums as many bytes on the same threads takes turns with the tokens. Random weights.
// After `npm run build`: node bench/decode/bandwidth.mjs [--device wasm] [--threads 2] [--position 4096] [--kv-heads 4]
//   [--weights f32|f16|bf16] [--cache f32|f16|bf16] [--layers 12] [--width 768] [--tokens 24] [--profile]
import { parseArgs } from 'node:util';
import { typedKernel } from '../../dist/kernels/typed-kernel.js';
import { createDevice } from '../../dist/devices/index.js';
import { createModel, openSession, readConfig } from '../../dist/models/index.js';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string' },
    position: { type: 'string', default: '4096' },
    layers: { type: 'string', default: '12' },
    width: { type: 'string', default: '768' },
    heads: { type: 'string', default: '12' },
    'kv-heads': { type: 'string', default: '4' },
    vocabulary: { type: 'string', default: '32000' },
    weights: { type: 'string', default: 'f32' },
    cache: { type: 'string', default: 'f32' },
    tokens: { type: 'string', default: '24' },
    profile: { type: 'boolean', default: false },
  },
});
const number = (name) => Number(values[name]);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const MB = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

const config = readConfig({
  layers: number('layers'),
  width: number('width'),
  heads: number('heads'),
  kvHeads: number('kv-heads'),
  length: number('position') + 512,
  vocabulary: number('vocabulary'),
  tied: false,
  position: 'rope',
  norm: { kind: 'rms' },
  feedForward: { hidden: Math.round((number('width') * 8) / 3 / 64) * 64, activation: 'silu', gated: true },
});
const device = await createDevice({ kind: values.device, ...(values.threads && { threads: number('threads') }) });
const model = createModel(config);
model.initialise({ device, seed: 1 });
if (values.weights !== 'f32') model.store(values.weights);

// a row of the table of embeddings is read of each token, and no more of it
const matrices = [...model.stateDict()].filter(([name]) => !name.startsWith('ends.embedding'));
const bytes = matrices.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);

/** Sums 64 kB a task in eight sums. */
const { kernel, pack } = typedKernel({
  name: 'bandwidth',
  key: () => '',
  parameters: { x: 'pointer', out: 'pointer' },
  text: (k, _, p) => {
    k.loop(k.begin, k.end, (task) => {
      const from = k.offset(p.x, task, 65536);
      const sums = Array.from({ length: 8 }, () => k.variable('vf', 0));
      k.loop(
        0,
        16384,
        (at) => sums.forEach((sum, i) => k.assign(sum, k.add(sum, k.loadVF(k.offset(from, at, 4), 4 * i * k.width)))),
        8 * k.width,
      );
      const total = sums.reduce((a, b) => k.add(a, b));
      k.store(k.offset(p.out, task, 4), k.reduceAdd(total));
    });
  },
})();
const tasks = Math.floor(bytes / 65536);
const block = device.allocate(tasks * 65536, 'workspace');
const sums = device.allocate(4 * tasks, 'workspace');
device.write(block, new Uint8Array(tasks * 65536));
const readOnce = () => {
  const start = performance.now();
  device.run(kernel, pack({ x: block, out: sums }), tasks);
  return performance.now() - start;
};

const session = openSession(model, {
  maxLength: number('position') + number('tokens') + 8,
  ...(values.cache !== 'f32' && { cacheDtype: values.cache }),
});
let start = performance.now();
session.step(Int32Array.from({ length: number('position') }, (_, i) => (i * i) % config.vocabulary)).dispose();
const prompt = performance.now() - start;

const spent = new Map();
const timed = (method, nameOf) => {
  const own = device[method].bind(device);
  device[method] = (...given) => {
    const begin = performance.now();
    const result = own(...given);
    const name = nameOf(...given);
    const sum = spent.get(name) ?? { calls: 0, ms: 0 };
    spent.set(name, { calls: sum.calls + 1, ms: sum.ms + performance.now() - begin });
    return result;
  };
};
if (values.profile) {
  timed('run', ({ name }) => name);
  for (const method of ['write', 'allocate', 'free']) timed(method, () => `(${method})`);
}
const [steps, reads] = [[], []];
// on a busy machine the time of the processor tells more than that of the clock; of one thread it is comparable
let [processor, processorOfReads] = [0, 0];
const cpuTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
for (let token = -4; token < number('tokens'); token++) {
  const before = cpuTime();
  const read = readOnce();
  const between = cpuTime();
  if (token === 0) spent.clear();
  start = performance.now();
  const logits = session.step([(token + 4) % config.vocabulary]);
  await logits.data();
  const took = performance.now() - start;
  logits.dispose();
  if (token < 0) continue;
  processorOfReads += between - before;
  processor += cpuTime() - between;
  steps.push(took);
  reads.push(read);
}
const cached = device.ledger.live('cache');
const [step, read] = [median(steps), median(reads)];
console.log(
  `${device.info.kind}, ${device.info.threads} threads, width ${device.info.width}: ${values.layers} × ${values.width}, ${values.heads} heads on ${values['kv-heads']}, ${values.weights} weights of ${MB(bytes)}, ${values.cache} cache of ${MB(cached)}; prompt ${(number('position') / (prompt / 1000)).toFixed(0)} tokens/s`,
);
console.log(
  `at ${values.position}: ${step.toFixed(2)} ms a token, ${(1000 / step).toFixed(1)} tokens/s; the matrices read once ${read.toFixed(2)} ms, ${(bytes / read / 1e6).toFixed(1)} GB/s: ${((100 * read) / step).toFixed(0)} % ` +
    `(with the keys and values read once ${((100 * read * (1 + cached / bytes)) / step).toFixed(0)} %; fastest token against fastest read ${((100 * Math.min(...reads)) / Math.min(...steps)).toFixed(0)} %)`,
);
console.log(
  `processor: ${(processor / steps.length).toFixed(2)} ms a token, ${(processorOfReads / steps.length).toFixed(2)} ms a read: ${((100 * processorOfReads) / processor).toFixed(0)} %`,
);
if (values.profile) {
  const all = [...spent].sort(([, a], [, b]) => b.ms - a.ms);
  const count = steps.length;
  let kernels = 0;
  for (const [name, { calls, ms }] of all) {
    if (name === 'bandwidth') continue;
    kernels += ms / count;
    console.log(`  ${name.padEnd(24)} ${(calls / count).toFixed(0).padStart(4)} calls  ${(ms / count).toFixed(3)} ms`);
  }
  const mean = steps.reduce((a, b) => a + b, 0) / count;
  console.log(`  ${'between the kernels'.padEnd(24)} ${' '.repeat(11)} ${(mean - kernels).toFixed(3)} ms`);
}
session.dispose();
model.dispose();
await device.dispose();
