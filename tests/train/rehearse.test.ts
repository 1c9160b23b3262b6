import { describe, expect, test, vi } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { identityOf } from '../../src/codegen/kernel.js';
import { CapabilityError, OptionError } from '../../src/core/errors.js';
import {
  createModel,
  positionNames,
  readConfig,
  type LanguageModel,
  type ModelConfig,
} from '../../src/models/index.js';
import { document } from '../../src/masks/index.js';
import type { HostInput } from '../../src/train/index.js';
import { lossScaler } from '../../src/train/loss-scale.js';
import { adamW } from '../../src/train/optimisers/index.js';
import { rehearseTraining, type RehearseTrainingOptions } from '../../src/train/rehearse.js';
import { constantRate } from '../../src/train/schedules.js';
import { Trainer } from '../../src/train/trainer.js';
import { fewNatively, onEveryDevice, onWebAssemblyFirst } from '../support/devices.js';
import { chains } from './support/trainer.js';

const [batchSize, vocabulary] = [2, 32];
// beyond a tile of any mechanism's, and no multiple of one
const base = { vocabulary, length: 70, layers: 2, width: 16, heads: 2, feedForward: { hidden: 32 } };

/** With window and globals that make a difference at this length. */
const longformer = { name: 'longformer', options: { radius: 5, globals: [0, 1, 2] } };

type Case = readonly [what: string, config: object, options: Partial<RehearseTrainingOptions>];

const cases: readonly Case[] = [
  ['longformer', { mechanism: longformer }, {}],
  ...mechanisms.map(({ name }): Case => [name, { mechanism: name }, {}]),
  ...positionNames.map((position): Case => [`position ${position}`, { position, mechanism: 'sliding-window' }, {}]),
  ['longformer, reversible', { mechanism: longformer, residual: 'reversible' }, {}],
  ['longformer, checkpointed, chunks', { mechanism: longformer, residual: 'checkpointed', lossChunk: 32 }, {}],
  ['longformer, bf16, grouped heads', { mechanism: longformer, kvHeads: 1, position: 't5' }, { precision: 'bf16' }],
  ['longformer, f16, dropout', { mechanism: longformer, dropout: 0.1, bias: true }, { precision: 'f16' }],
  ['longformer, two batches a step', { mechanism: longformer, position: 'alibi' }, { accumulate: 2 }],
  [
    'sinks, caps, gates, norms over all heads and on both sides',
    {
      attention: { scale: 0.5, softcap: 3, queryKeyNorm: 'all', sinks: true, gate: true },
      norm: { place: 'both', centred: true },
      position: { method: 'rope', rotary: 4 },
      bias: 'qkv',
      feedForward: { hidden: 32, gated: true, bias: true },
    },
    { precision: 'bf16' },
  ],
  [
    'branches beside each other, computed again',
    {
      residual: { kind: 'checkpointed', every: 1, parallel: 'one' },
      attention: { queryKeyNorm: 'heads' },
      dropout: 0.1,
    },
    { accumulate: 2 },
  ],
  ['gated', { feedForward: { hidden: 32, gated: true, chunk: 32 }, norm: { place: 'post' } }, {}],
  ['one unit of a block', { feedForward: { name: 'scaling', hidden: 32, options: { block: 8, quantProb: 1 } } }, {}],
  ['a memory of product keys', { feedForward: { name: 'product-key', options: { keys: 40, knn: 5 } } }, {}],
  [
    'a memory of product keys, reversible, two batches a step',
    { feedForward: { name: 'product-key', options: { keys: 40, knn: 5 } }, residual: 'reversible' },
    { accumulate: 2 },
  ],
  ['experts with room for some', { feedForward: { name: 'switch', hidden: 16, options: { experts: 5 } } }, {}],
  [
    'experts of every token, reversible, two batches a step',
    { feedForward: { name: 'mixtral', hidden: 16 }, residual: 'reversible' },
    { accumulate: 2 },
  ],
  ['transformer-xl', { kind: 'transformer-xl', memory: { length: 75 } }, {}],
  [
    'transformer-xl with clusters of tokens',
    {
      kind: 'transformer-xl',
      memory: { length: 75, initial: 'zeros' },
      embedding: { width: 8, adaptive: { cutoffs: [9, 20], divide: 2 } },
      prediction: { adaptive: 'tails' },
      position: { method: 'transformer-xl', shared: true },
      mechanism: { name: 'sliding-window', options: { causalWindow: 75 } },
    },
    {},
  ],
  [
    'xlnet',
    { kind: 'xlnet', memory: { length: 75 }, position: { method: 'transformer-xl', segments: { types: 3 } } },
    {},
  ],
  ['compressive-transformer', { kind: 'compressive-transformer', memory: { length: 75, compressed: 3, ratio: 3 } }, {}],
];

/** The model, unless a causal model has no such mechanism. */
function modelOf(config: object): { readonly model: LanguageModel; readonly config: ModelConfig } | undefined {
  try {
    const whole = readConfig({ ...base, ...config });
    return { model: createModel(whole), config: whole };
  } catch (error) {
    if (error instanceof OptionError || error instanceof CapabilityError) return undefined;
    throw error;
  }
}

const trainable = cases.filter(([, config]) => modelOf(config));

describe('what a training step takes is foretold: every byte, and every kernel', () => {
  test('by every mechanism but those that are not causal', () => {
    const left = mechanisms.filter(({ definition }) => definition.supports.causal !== false).map(({ name }) => name);
    expect(trainable.map(([what]) => what)).toEqual(expect.arrayContaining(left));
    expect(cases.length - trainable.length).toBe(mechanisms.length - left.length);
  });

  onWebAssemblyFirst((on) => {
    const ints = (columns: number): HostInput => ({ data: new Int32Array(2 * columns), shape: [2, columns] });
    const tokens = ints(70);
    const few = [
      { mixer: 'mlp-mixer' },
      { mixer: 'token-learner' },
      { mixer: 'linear-encoder' },
      { mixer: 'token-fuser' },
    ];
    const pooling = { kind: 'mean', asPublished: true };
    const position = { method: 'transformer-xl', segments: { types: 3, class: 2 }, components: 16 };
    const funnel = [{ position }, { position, pooling }, { position, pooling: 'restore' }];
    const sizes = { width: 12, heads: 2 };
    const perceiver = { name: 'perceiver', options: { latents: 5, norm: true, bias: true, every: true } };
    const narrow = [
      { mixer: perceiver, sizes },
      { sizes: { ...sizes, headDim: 4, valueDim: 7 } },
      { as: 1 },
      { mixer: 'perceiver-output', sizes: { width: 16 } },
    ];
    test.each([
      ['encoder', { kind: 'encoder' }, { tokens, targets: tokens }, false],
      ['funnel as published', { kind: 'encoder', bias: 'kv-out', layers: funnel }, { tokens, targets: tokens }, false],
      [
        'perceiver as published',
        { kind: 'encoder', bias: true, position: 'learned', layers: narrow },
        { tokens, targets: tokens },
        false,
      ],
      ['encoder by a mixer', { kind: 'encoder', mixer: 'fnet' }, { tokens, targets: tokens }, false],
      ['fewer tokens, and back', { kind: 'encoder', layers: few }, { tokens, targets: tokens }, false],
      ['encoder–decoder', { kind: 'encoder-decoder' }, { source: tokens, tokens, targets: tokens }, false],
      [
        'packed',
        {},
        { tokens, targets: tokens, mask: document(new Int32Array(70).map((_, i) => Number(i > 30))) },
        true,
      ],
      [
        'other sizes',
        { kind: 'encoder-decoder' },
        { source: ints(50), sourceLengths: [50, 3], tokens, targets: tokens },
        true,
      ],
    ] as const)('%s: a batch that is no text of the next token', async (_, json, inputs, told) => {
      const { device } = on;
      const config = readConfig({ ...base, ...json });
      const model = createModel(config).initialise({ device, seed: 1 });
      const batch = { inputs, counted: 140 };
      const trainer = new Trainer({
        device,
        model,
        optimiser: adamW,
        schedule: constantRate(1e-3),
        batches: { batchSize, length: 70, batch: () => batch, startsAnew: (step) => step === 0 },
        clip: 1e9,
      });
      const foretold = await rehearseTraining(config, { batchSize, like: device.info, ...(told && { batch }) });
      expect(device.ledger.live(), 'held all the time').toBe(foretold.restBytes);
      await trainer.step();
      expect((await trainer.step()).peakBytes).toBe(foretold.peakBytes);
      trainer.dispose();
      model.dispose();
    });
  });

  onEveryDevice((on) => {
    test.each(fewNatively(on.kind, trainable, 1))('%s', async (_, json, options) => {
      const { model, config } = modelOf(json)!;
      const { device } = on;
      model.initialise({ device, seed: 1 });
      const { accumulate = 1, precision = 'f32' } = options;
      const trainer = new Trainer({
        device,
        model,
        optimiser: adamW,
        schedule: constantRate(1e-3),
        batches: { ...chains(batchSize, config.length, vocabulary), startsAnew: (step) => step === 0 },
        // a rehearsal knows no norm, so it does not scale gradients
        clip: 1e9,
        accumulate,
        precision,
        lossScale: precision === 'f16' ? lossScaler() : undefined,
      });
      const foretold = await rehearseTraining(config, { batchSize, like: device.info, ...options });
      expect(device.ledger.live(), 'held all the time').toBe(foretold.restBytes);
      const { length, ratio } = config.memory;
      const peaks: number[] = [];
      const run = vi.spyOn(device, 'run');
      // until a memory is full, and then as many as differ
      for (let step = 0; step < (length > 0 ? 3 + ratio : 2); step++) peaks.push((await trainer.step()).peakBytes);
      expect(Math.max(...peaks.slice(-ratio)), 'most in a step').toBe(foretold.peakBytes);
      const ran = new Set(run.mock.calls.map(([kernel]) => identityOf(kernel)));
      run.mockRestore();
      expect([...ran].sort()).toEqual(
        foretold.kernels
          .map(identityOf)
          .filter((one) => ran.has(one))
          .sort(),
      );
      trainer.dispose();
      model.dispose();
    });
  });
});
