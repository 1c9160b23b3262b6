// Speed-ups over standard and flash attention, the share of the arithmetic saving that becomes time, training steps of one causal
// head against flash, and memory at 65,536 positions. After `npm run build`: node bench/mechanisms/measure.mjs [speed|share|step|long] [--device wasm] [--rounds 5]
// [--heads 1 --mechanisms entmax,routing]: these beside what they are compared with; causal where they have no other form.
import { parseArgs } from 'node:util';
import { mechanism, mechanisms } from '../../dist/attention/index.js';
import { measure } from '../../dist/attention/rehearse.js';
import { normal } from '../../dist/core/random.js';
import { createDevice } from '../../dist/index.js';
import { disposeAll, gradients, scope, tensor } from '../../dist/tensor/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    lengths: { type: 'string', default: '4096,16384' },
    heads: { type: 'string', default: '12' },
    mechanisms: { type: 'string' },
  },
});
const [what = 'speed'] = positionals;
const rounds = Number(values.rounds);
const device = await createDevice({
  kind: what === 'long' ? 'wasm' : values.device,
  ...(values.threads && { threads: Number(values.threads) }),
});

const inputs = (heads, length, requiresGradient = false) =>
  ['q', 'k', 'v'].map((name) =>
    tensor(normal(1, `measure ${name}`, heads * length * 64), [1, heads, length, 64], { device, requiresGradient }),
  );
const shapeOf = (H, L) => ({ B: 1, H, G: H, L, S: L, D: 64, E: 64 });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/**
 * Milliseconds of each job as it takes in a loop, medians over rounds in which all take turns. The first run of a turn counts
 * only where it takes seconds: memory that slow jobs in between left unused has gone back to the system.
 */
function alternate(jobs) {
  const times = jobs.map(() => []);
  for (const job of jobs) job();
  for (let round = 0; round < rounds; round++) {
    jobs.forEach((job, i) => {
      const runs = [];
      const turn = performance.now();
      while (runs.length < 3 && performance.now() - turn < 3000) {
        const start = performance.now();
        job();
        runs.push(performance.now() - start);
      }
      times[i].push(median(runs.length > 1 ? runs.slice(1) : runs));
    });
  }
  return times.map(median);
}

function job(name, options, tensors, parameters) {
  return () => scope(() => void mechanism(name).run(...tensors, { ...options, parameters }));
}

function timed(list, heads, length) {
  const tensors = inputs(heads, length);
  const drawn = list.map(([name, options]) =>
    mechanism(name).parameters(shapeOf(heads, length), { ...options, device }),
  );
  const times = alternate(list.map(([name, options], i) => job(name, options, tensors, drawn[i])));
  disposeAll([tensors, drawn]);
  return times;
}

const chapter = [
  ['standard', {}],
  ['flash', {}],
  ['sliding-window', { radius: 256 }],
  ['longformer', { radius: 256 }],
  ['bigbird', {}],
  ['linformer', { projectedLength: 256 }],
  ['performer', { numFeatures: 256 }],
];
const claims = {
  4096: { 'sliding-window': 5.4, longformer: 5.4, bigbird: 6.5, linformer: 4.9, performer: 8.2, flash: 3.9 },
  16384: { 'sliding-window': 21, longformer: 21, bigbird: 25, linformer: 19, performer: 31, flash: 6.8 },
};
const patterns = [
  ['flash', {}],
  ['flash', { causal: true }],
  ['sliding-window', { radius: 256 }],
  ['sliding-window', { radius: 256, causal: true }],
  ...mechanisms
    .filter(({ definition: d }) => d.family === 'patterns' && d.name !== 'sliding-window')
    .map(({ name }) => [name, {}]),
];

console.log(`${device.info.kind}, ${device.info.threads} threads, ${rounds} rounds`);
const lengths = values.lengths.split(',').map(Number);
// more than all of a saving cannot become time
const shareOf = (share) =>
  share > 1.02 ? 'no share: the machine was not at one speed, run again' : `share ${(100 * share).toFixed(0)} %`;
const heads = Number(values.heads);
const needed = (name) => (mechanism(name).definition.supports.causal === 'only' ? { causal: true } : {});
const wanted = (list) => {
  if (!values.mechanisms) return list;
  const named = values.mechanisms.split(',').filter((name) => !['standard', 'flash'].includes(name));
  return [
    ...list.filter(([name]) => ['standard', 'flash'].includes(name)),
    ...named.map((name) => list.find(([known]) => known === name) ?? [name, needed(name)]),
  ];
};
if (what === 'speed') {
  for (const length of lengths) {
    const list = wanted(chapter);
    const times = timed(list, heads, length);
    list.forEach(([name], i) => {
      const claim = claims[length]?.[name];
      const ratio = times[0] / times[i];
      console.log(
        `${length} ${name.padEnd(16)} ${times[i].toFixed(1).padStart(9)} ms  ${ratio.toFixed(2).padStart(7)} x standard` +
          (claim ? `  claimed ${claim}  ${ratio >= claim ? 'met' : 'NOT MET'}` : ''),
      );
    });
  }
} else if (what === 'share') {
  const length = lengths.at(-1);
  const list = wanted(patterns);
  const times = timed(list, heads, length);
  const cost = list.map(([name, options]) => mechanism(name).cost(shapeOf(heads, length), options).multiplyAdds);
  // what is causal only saves over causal flash
  const causalFlash = list.findIndex(([name, { causal }]) => name === 'flash' && causal);
  list.forEach(([name, options], i) => {
    const base = mechanism(name).definition.supports.causal === 'only' ? causalFlash : 0;
    const [speedUp, saving] = [times[base] / times[i], cost[base] / cost[i]];
    console.log(
      `${name.padEnd(20)} ${JSON.stringify(options).padEnd(32)} ${times[i].toFixed(1).padStart(9)} ms  speed-up ${speedUp.toFixed(2).padStart(7)}  saving ${saving.toFixed(2).padStart(7)}  ${shareOf(speedUp / saving)}`,
    );
  });
} else if (what === 'step') {
  const length = lengths.at(-1);
  const tensors = inputs(1, length, true);
  const cotangent = inputs(1, length)[0];
  const list = [['flash', {}], ...(values.mechanisms ?? 'polysketch').split(',').map((name) => [name, {}])];
  const drawn = list.map(([name]) => mechanism(name).parameters(shapeOf(1, length), { causal: true, device }));
  const steps = list.map(([name], i) => () => {
    const parameters = Object.values(drawn[i]).filter((x) => x.requiresGradient);
    const { out } = mechanism(name).run(...tensors, { causal: true, parameters: drawn[i] });
    disposeAll(gradients([out], [...tensors, ...parameters], [cotangent], { release: true }));
    out.dispose();
  });
  const times = alternate(steps.map((step) => () => scope(step)));
  list.forEach(([name], i) =>
    console.log(
      `${length} ${name.padEnd(20)} ${times[i].toFixed(1).padStart(9)} ms  ${(times[0] / times[i]).toFixed(2).padStart(7)} x flash`,
    ),
  );
  disposeAll([tensors, cotangent, drawn]);
} else {
  for (const { name, definition } of mechanisms) {
    if (definition.complexity.startsWith('n²') || (values.mechanisms && !values.mechanisms.split(',').includes(name)))
      continue;
    const tensors = inputs(4, 65536, true);
    const before = device.ledger.live();
    const start = performance.now();
    try {
      const options = definition.supports.causal === 'only' ? { causal: true } : {};
      const taken = measure(device, mechanism(name), tensors, options, true);
      console.log(
        `${name.padEnd(20)} peak ${(taken.peakBytes / 1e6).toFixed(0).padStart(6)} MB  ${((performance.now() - start) / 1000).toFixed(1)} s`,
      );
    } catch (error) {
      console.log(`${name.padEnd(20)} ${error.message}`);
    }
    disposeAll(tensors);
    if (device.ledger.live() !== before - 3 * 4 * 65536 * 64 * 4) console.log(`${name}: bytes were left behind`);
  }
}
await device.dispose();
