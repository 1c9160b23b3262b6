// The model of the package from wherever a page has it, and how it goes on with a text.
import { createDevice } from 'subquad';
import { byteTokeniser } from 'subquad/data';
import { generate, openSession } from 'subquad/models';
import { loadModel } from 'subquad/train';

export async function main({ weights, from }) {
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const origins = {
    address: async () => ({ origin: weights }),
    answer: async () => ({ origin: await fetch(weights) }),
    file: async () => ({
      origin: new File([await (await fetch(weights)).blob()], 'mine'),
      json: await (await fetch(weights.replace('.safetensors', '.json'))).json(),
    }),
  };
  const { origin, json } = await origins[from]();
  const { model } = await loadModel(origin, { device, json });
  const session = openSession(model, { maxLength: 64 });
  const tokens = [];
  for await (const token of generate(session, { prompt: byteTokeniser.encode('It is a truth '), tokens: 24 }))
    tokens.push(token);
  await device.dispose();
  return byteTokeniser.decode(tokens);
}
