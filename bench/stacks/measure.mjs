// Whole stacks beside plain ones (after npm run build), alternating in one run, the best of the rounds:
//   node bench/stacks/measure.mjs funnel       a training step of Funnel 4-4-4 without a decoder, beside 12 layers of an encoder
//   node bench/stacks/measure.mjs perceiver    256 latents: time and bytes of a training step by length, and their slopes
import { parseArgs } from 'node:util';
import { createDevice } from '../../dist/devices/index.js';
import { createModel, readConfig } from '../../dist/models/index.js';
import { disposeAll, gradients, scope, tensor } from '../../dist/tensor/index.js';
import { rehearseTraining } from '../../dist/train/rehearse.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    width: { type: 'string', default: '256' },
    heads: { type: 'string', default: '4' },
    length: { type: 'string', default: '2048' },
    position: { type: 'string', default: 'rope' },
  },
});
const [width, heads, rounds] = [Number(values.width), Number(values.heads), Number(values.rounds)];
const device = await createDevice({ kind: values.device, threads: Number(values.threads) });
const base = { kind: 'encoder', width, heads, position: values.position };
const whole = (config) => readConfig({ ...base, ...config });
const modelOf = (config) => createModel(config).initialise({ device, seed: 1 });

/** Loss and all gradients, with a target at one place in seven of what the layers give, as many for all. */
function stepOf(config, targets) {
  const model = modelOf(config);
  const { length } = config;
  const rows = model.stack.rowsFor(length);
  const ints = (count, of) =>
    tensor(
      Int32Array.from({ length: count }, (_, i) => of(i)),
      [1, count],
      { device },
    );
  return () => {
    const found = scope(() => {
      const batch = {
        tokens: ints(length, (i) => (i * i) % 256),
        targets: ints(targets, (i) => (7 * i) % 256),
        places: ints(targets, (i) => Math.floor((i * rows) / targets)),
      };
      return gradients([model.loss(batch).loss], [...model.learnedTensors().values()], undefined, { release: true });
    });
    disposeAll(found);
  };
}

/** Milliseconds of each, the best of the rounds; they take turns. */
function bestOf(all) {
  const best = all.map(() => Infinity);
  for (let round = 0; round <= rounds; round++) {
    all.forEach((run, i) => {
      const start = performance.now();
      run();
      if (round > 0) best[i] = Math.min(best[i], performance.now() - start);
    });
  }
  return best;
}
const bytesOf = async (config) => {
  const options = { batchSize: 1, like: device.info };
  const { peakBytes, restBytes, multiplyAdds } = await rehearseTraining(config, options);
  return { bytes: peakBytes - restBytes, peakBytes, multiplyAdds };
};
const shown = (x) => x.toFixed(2);

if (positionals[0] === 'funnel') {
  const length = Number(values.length);
  const block = (first) => [first, {}, {}, {}];
  const plain = whole({ length, layers: 12 });
  const funnel = whole({
    length,
    layers: [...block({}), ...block({ pooling: 'mean' }), ...block({ pooling: 'mean' })],
  });
  const [a, b] = bestOf([stepOf(plain, 304), stepOf(funnel, 304)]);
  const [x, y] = [await bytesOf(plain), await bytesOf(funnel)];
  console.log(`length ${length}, width ${width}, position ${values.position}`);
  console.log(`12 layers ${a.toFixed(0)} ms, Funnel 4-4-4 ${b.toFixed(0)} ms: ${shown(b / a)}`);
  console.log(
    `multiply-adds ${shown(y.multiplyAdds / x.multiplyAdds)}, bytes of a step ${shown(y.peakBytes / x.peakBytes)}`,
  );
} else if (positionals[0] === 'perceiver') {
  const latents = { mixer: { name: 'perceiver', options: { latents: 256 } } };
  const configs = [16384, 32768, 65536].map((length) =>
    whole({ length, position: 'sinusoidal', layers: [latents, {}, {}, {}] }),
  );
  const times = bestOf(configs.map((config) => stepOf(config, 38)));
  const bytes = [];
  for (const config of configs) bytes.push((await bytesOf(config)).bytes);
  configs.forEach(({ length }, i) => {
    const slope = (all) => (i === 0 ? '' : ` slope ${shown(Math.log2(all[i] / all[i - 1]))}`);
    console.log(
      `${length}: ${times[i].toFixed(1)} ms${slope(times)}, ${(bytes[i] / 2 ** 20).toFixed(1)} MiB${slope(bytes)}`,
    );
  });
} else throw new Error('name funnel or perceiver');
await device.dispose();
