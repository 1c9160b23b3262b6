import { expect, test, vi } from 'vitest';
import { identityOf } from '../../src/codegen/kernel.js';
import { createModel, openSession, readConfig } from '../../src/models/index.js';
import { rehearseSession } from '../../src/models/rehearse.js';
import { onWebAssemblyFirst } from '../support/devices.js';

const base = { vocabulary: 11, length: 64, layers: 2, width: 16, heads: 2 };
const ring = { cache: 'ring', window: 8 } as const;
const cases: readonly (readonly [name: string, config: object, options: object])[] = [
  ['flash', {}, {}],
  ['grouped heads', { kvHeads: 1, position: 'alibi' }, {}],
  ['sinks, caps and normed heads', { attention: { sinks: true, softcap: 5, queryKeyNorm: 'heads' }, kvHeads: 1 }, {}],
  ['a ring', { position: 'alibi' }, ring],
  ['a mechanism that reads keys in its own way', { mechanism: 'strided' }, {}],
  ['a recurrence', { mechanism: 'performer' }, {}],
  ['a model with memory', { kind: 'transformer-xl', memory: { length: 16 } }, {}],
];

onWebAssemblyFirst((on) => {
  test.each(cases)('%s: the kernels of the first two steps are foretold', async (_, json, options) => {
    const { device } = on;
    const config = readConfig({ ...base, ...json });
    const session = { maxLength: 64, ...options };
    const kernels = rehearseSession(config, { like: device.info, session, prompt: 13 });
    const foretold = new Set(kernels.map(identityOf));
    const model = createModel(config).initialise({ device, seed: 1 });
    const text = openSession(model, session);
    const run = vi.spyOn(device, 'run');
    for (const tokens of [new Int32Array(13), [1]]) text.step(tokens).dispose();
    const ran = new Set(run.mock.calls.map(([kernel]) => identityOf(kernel)));
    run.mockRestore();
    await device.synchronise();
    expect([...ran].filter((one) => !foretold.has(one))).toEqual([]);
    expect(ran.size).toBeGreaterThan(5);
    text.dispose();
    model.dispose();
  });
});
