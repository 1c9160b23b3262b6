import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { Batches } from '../data/batches.js';
import type { Corpus } from '../data/corpus.js';
import type { Device } from '../devices/device.js';
import { createNextTokenModel } from '../models/create.js';
import type { ModelConfig } from '../models/config.js';
import type { LanguageModel } from '../models/model.js';
import { disposeAll } from '../tensor/index.js';
import { type Json, loadCheckpoint, saveCheckpoint, sourceOf } from '../train/checkpoint/index.js';
import { checkFinite } from '../train/diagnose.js';
import { adamW } from '../train/optimisers/index.js';
import { readTensors } from '../train/read-tensors.js';
import { cosine } from '../train/schedules.js';
import { Trainer } from '../train/trainer.js';

/** How each of the small models is trained. */
export interface Recipe {
  readonly steps: number;
  readonly batchSize: number;
  /** Highest learning rate of AdamW; after a warm-up of a twentieth of the steps it falls by a cosine to a tenth. */
  readonly rate: number;
  readonly seed: number;
}

export interface TrainSmallOptions extends Recipe {
  readonly device: Device;
  readonly corpus: Corpus;
  readonly config: ModelConfig;
  /** Where the finished model is kept, and taken from if it is one of these options. */
  readonly folder?: string | undefined;
  readonly onStep?: ((step: number) => void) | undefined;
  /** Asked after each step; where true, training is given up. */
  readonly stopping?: (() => boolean) | undefined;
}

/** A trained model, its caller's to dispose of; undefined when it was stopped before its end. */
export async function trainSmall(options: TrainSmallOptions): Promise<LanguageModel | undefined> {
  const { device, config, folder, seed } = options;
  const model = createNextTokenModel(config);
  try {
    if (folder !== undefined && (await restored(model, folder, options))) return model;
    model.initialise({ device, seed });
    if (!(await train(model, options))) {
      model.dispose();
      return undefined;
    }
    if (folder !== undefined) {
      const tensors = Object.fromEntries([...model.stateDict()].map(([name, value]) => [name, sourceOf(value)]));
      await saveCheckpoint(folder, { tensors, state: recipeOf(options) });
    }
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Everything that the weights follow from. */
const recipeOf = ({ config, corpus, steps, batchSize, rate, seed }: TrainSmallOptions): Json =>
  JSON.parse(JSON.stringify({ config, text: corpus.identity, steps, batchSize, rate, seed })) as Json;

async function restored(model: LanguageModel, folder: string, options: TrainSmallOptions): Promise<boolean> {
  if (!existsSync(join(folder, 'checkpoint.json'))) return false;
  const { tensors, state } = await loadCheckpoint(folder);
  try {
    if (JSON.stringify(state) !== JSON.stringify(recipeOf(options))) return false;
    const values = await readTensors(tensors, { device: options.device });
    try {
      model.load(values);
    } finally {
      disposeAll(values);
    }
    await checkFinite(`extrapolate: "${folder}"`, model);
    return true;
  } finally {
    await tensors.close();
  }
}

async function train(model: LanguageModel, options: TrainSmallOptions): Promise<boolean> {
  const { device, corpus, config, steps, batchSize, rate, seed, onStep, stopping } = options;
  const trainer = new Trainer({
    device,
    model,
    optimiser: (parameters) => adamW(parameters, { beta2: 0.99, weightDecay: 0.1 }),
    schedule: cosine({ peak: rate, floor: rate / 10, steps, warmUp: Math.floor(steps / 20) }),
    batches: new Batches(corpus, { batchSize, length: config.length, seed }),
    clip: 1,
    seed,
  });
  try {
    for (let step = 1; step <= steps; step++) {
      await trainer.step();
      onStep?.(step);
      if (step < steps && stopping?.() === true) return false;
    }
    return true;
  } finally {
    trainer.dispose();
  }
}
