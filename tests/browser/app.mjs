// What a page does with every entry point of the package, as a few numbers that are the same wherever it runs.
import { attend, createDevice, gradients, matmul, sum, tensor } from 'subquad';
import { mechanism, mechanisms } from 'subquad/attention';
import { byteTokeniser, taskBatch, taskOf } from 'subquad/data';
import { within } from 'subquad/masks';
import { createModel, generate, openSession, readConfig } from 'subquad/models';
import { Linear } from 'subquad/nn';
import { rope } from 'subquad/positions';
import { alibi } from 'subquad/scores';
import { adamW, constantRate, Trainer } from 'subquad/train';

const wave = (n) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * i));

/** Values, gradients, layers, a step of training and a text, of every part. */
export async function run(options) {
  const device = await createDevice({ kind: 'wasm', ...options });
  const { threads, reasons } = device.info;
  const results = {};
  const take = async (name, value) => (results[name] = [...(await value.data())].slice(0, 4));

  const x = tensor(wave(512 * 32), [1, 2, 256, 32], { device, requiresGradient: true });
  const { out, counters } = attend(x, x, rope(x), { causal: true, mask: within({ radius: 16 }), score: alibi() });
  await take('attend', out);
  await take('gradient', gradients([sum(out)], [x])[0]);
  await take('linear', mechanism('linear-transformer').run(x, x, x).out);
  const layer = new Linear(32, 8);
  layer.initialise({ device, seed: 1 });
  await take('layer', layer.forward(x));
  const square = tensor(wave(300 * 300), [300, 300], { device });
  await take('matmul', matmul(square, square));

  const config = readConfig({ length: 32, width: 32, layers: 1, heads: 2, mechanism: 'sliding-window' });
  const model = createModel(config).initialise({ device, seed: 1 });
  const batch = (step) => taskBatch(taskOf('copy'), { seed: 1, batchSize: 2, length: 32 }, step);
  const trainer = new Trainer({
    device,
    model,
    optimiser: (parameters) => adamW(parameters),
    schedule: constantRate(1e-3),
    batches: { batchSize: 2, length: 32, batch, startsAnew: () => true },
  });
  results.losses = [(await trainer.step()).loss, (await trainer.step()).loss];
  const session = openSession(model, { maxLength: 32 });
  const tokens = [];
  for await (const token of generate(session, { prompt: byteTokeniser.encode('It'), tokens: 8 })) tokens.push(token);
  results.tokens = tokens;

  trainer.dispose();
  await device.dispose();
  return { threads, reasons, pairs: counters.pairsNeeded, mechanisms: mechanisms.length, results };
}
