// A layer of experts against a dense layer of equal multiply-adds, in turns; the product alone beside it.
//   npm run build && node bench/experts/measure.mjs [native|wasm] [--threads N] [--tokens N] [--experts 8,64]
// Times are medians by the clock and by processor time, which other work on the machine changes less; ratios are of one run. What was
// found is in measure.md.
import { parseArgs } from 'node:util';
import { normal } from '../../dist/core/random.js';
import { createDevice } from '../../dist/index.js';
import { feedForward } from '../../dist/models/index.js';
import { disposeAll, gradients, noGradient, scope, tensor } from '../../dist/tensor/index.js';

const { values, positionals } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    tokens: { type: 'string', default: '4096' },
    experts: { type: 'string', default: '8,64' },
    rounds: { type: 'string', default: '15' },
  },
  allowPositionals: true,
});
const device = await createDevice({ kind: positionals[0] ?? 'native', threads: Number(values.threads) });
const tokens = Number(values.tokens);
const [features, hidden] = [256, 1024];
const sizes = { features, hidden, activation: 'relu', gated: false, chunk: 0, length: tokens, causal: true, share: 1 };

// of all directions, so that a router which has learned nothing spreads them
const x = tensor(normal(1, 'rows', tokens * features), [1, tokens, features], { device, requiresGradient: true });
const d = tensor(normal(2, 'gradient', tokens * features), x.shape, { device });
/** For all tokens: what was dropped would cost nothing. */
const room = (experts) => ({ experts, capacity: experts, evaluationCapacity: experts });
const layers = [
  ['dense', feedForward('dense').create(sizes)],
  ...values.experts
    .split(',')
    .map((experts) => [`switch, ${experts} experts`, feedForward('switch').create(sizes, room(Number(experts)))]),
].map(([name, layer]) => ({ name, layer: layer.initialise({ device, seed: 1 }), times: new Map() }));

const streamOf = (outcome) => outcome.stream ?? outcome;
const runs = {
  forward: ({ layer }) => {
    layer.eval();
    disposeAll(scope(() => noGradient(() => streamOf(layer.forward(x, {})))));
  },
  'forward and backward': ({ layer }) => {
    layer.train({ seed: 1, step: 1 });
    const found = scope(() => {
      const given = layer.forward(x, { losses: true });
      const [out, losses] = [streamOf(given), given.losses ?? {}];
      const leaves = [x, ...[...layer.namedParameters().values()].map(({ value }) => value)];
      const one = Object.values(losses).map(() => tensor([1], [], { device }));
      return gradients([out, ...Object.values(losses)], leaves, [d, ...one]);
    });
    disposeAll(found);
  },
};

for (const { name, layer } of layers.slice(1)) {
  const { stream, losses, statistics } = scope(() => noGradient(() => layer.eval().forward(x, { losses: true })));
  const load = await statistics.load.data();
  const share = (value) => ((100 * value * load.length) / 1).toFixed(0);
  console.log(
    `${name}: loads of ${share(Math.min(...load))} to ${share(Math.max(...load))} % of the even share, dropped ${await statistics.dropped.item()}`,
  );
  disposeAll([stream, losses, statistics]);
}

const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];
for (const [what, run] of Object.entries(runs)) {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const one of layers) {
      await device.synchronise();
      const [start, used] = [performance.now(), process.cpuUsage()];
      run(one);
      await device.synchronise();
      const { user, system } = process.cpuUsage(used);
      // the first rounds compile
      if (round < 3) continue;
      const times = one.times.get(what) ?? { clock: [], busy: [] };
      times.clock.push(performance.now() - start);
      times.busy.push((user + system) / 1000);
      one.times.set(what, times);
    }
  }
  console.log(
    `${device.info.kind}, ${device.info.width} lanes, ${device.info.threads} threads, ${tokens} tokens × ${features} → ${hidden}: ${what}`,
  );
  const [base] = layers.map(({ times }) => times.get(what));
  for (const { name, times } of layers) {
    const { clock, busy } = times.get(what);
    const column = (list, of) =>
      `${median(list).toFixed(1).padStart(7)} ms, ${(median(list) / median(of)).toFixed(2)}×`;
    console.log(`  ${name.padEnd(20)} clock ${column(clock, base.clock)}   processor ${column(busy, base.busy)}`);
  }
}
disposeAll([x, d]);
for (const { layer } of layers) layer.dispose();
await device.dispose();
