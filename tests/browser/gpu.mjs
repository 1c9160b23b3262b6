// What a page computes on its GPU, beside the same on the processor: results of both, for each thing that is asked for.
import { attend, createDevice, gradients, mul, sum, tensor } from 'subquad';
import { mechanism } from 'subquad/attention';
import { byteTokeniser, taskBatch, taskOf } from 'subquad/data';
import { within } from 'subquad/masks';
import { createModel, generate, openSession, readConfig } from 'subquad/models';
import { alibi } from 'subquad/scores';
import { adamW, constantRate, loadModel, Trainer } from 'subquad/train';

const wave = (n, by) => Float32Array.from({ length: n }, (_, i) => Math.sin(by * i * i));
const shape = [1, 2, 96, 16];
const rows = (device, by) => tensor(wave(3072, by), shape, { device, requiresGradient: true });

/** Result and gradients of a call with queries, keys and values. */
async function pass(device, call) {
  const inputs = [1, 1.7, 2.3].map((by) => rows(device, by));
  const out = call(...inputs);
  const found = gradients([sum(mul(out, tensor(wave(3072, 3), shape, { device })))], inputs);
  return Promise.all([out, ...found].map(async (x) => [...(await x.data())]));
}

const parts = {
  attend: (device) =>
    pass(device, (q, k, v) => attend(q, k, v, { causal: true, mask: within({ radius: 24 }), score: alibi() }).out),
  mechanism: (device, { name, options }) => pass(device, (q, k, v) => mechanism(name).run(q, k, v, options).out),
  training: async (device) => {
    const model = createModel(readConfig({ length: 24, width: 16, layers: 1, heads: 2, feedForward: { hidden: 32 } }));
    const trainer = new Trainer({
      device,
      model: model.initialise({ device, seed: 1 }),
      optimiser: (parameters) => adamW(parameters),
      schedule: constantRate(1e-2),
      batches: {
        batchSize: 2,
        length: 24,
        batch: (step) => taskBatch(taskOf('copy'), { seed: 1, batchSize: 2, length: 24 }, step),
        startsAnew: () => true,
      },
    });
    const losses = [];
    for (let step = 0; step < 3; step++) losses.push((await trainer.step()).loss);
    trainer.dispose();
    return [losses];
  },
  generate: async (device, { weights }) => {
    const { model } = await loadModel(weights, { device });
    const session = openSession(model, { maxLength: 32 });
    const tokens = [];
    const prompt = byteTokeniser.encode('It is a truth ');
    for await (const token of generate(session, { prompt, tokens: 12, temperature: 0 })) tokens.push(token);
    return [tokens];
  },
};

export async function main({ part, ...options }) {
  const results = {};
  for (const kind of ['wasm', 'webgpu']) {
    const device = await createDevice({ kind });
    results[kind] = await parts[part](device, options);
    results.reasons = device.info.reasons;
    await device.dispose();
  }
  return results;
}
