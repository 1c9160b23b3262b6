import type { Device } from '../../../src/devices/index.js';
import type { BatchSource } from '../../../src/train/micro-batch.js';
import { adamW } from '../../../src/train/optimisers/index.js';
import { cosine } from '../../../src/train/schedules.js';
import { Trainer, type TrainerOptions } from '../../../src/train/trainer.js';
import { Toy, type ToyOptions } from './toy.js';

/** Batches that can be learnt: each token follows from the one before. */
export function chains(batchSize: number, length: number, vocabulary = 32): BatchSource {
  return {
    batchSize,
    length,
    batch(step) {
      const width = length + 1;
      return Int32Array.from({ length: batchSize * width }, (_, i) => {
        const row = step * batchSize + Math.floor(i / width);
        return (7 * row + 5 * (i % width)) % vocabulary;
      });
    },
    startsAnew: (step) => step % 4 === 0,
  };
}

export type ToyTrainerOptions = Partial<Omit<TrainerOptions, 'model'>> & { readonly toy?: ToyOptions };

export interface Trained {
  readonly trainer: Trainer;
  readonly model: Toy;
}

export function toyTrainer(device: Device, { toy, ...options }: ToyTrainerOptions = {}): Trained {
  const model = new Toy(toy).initialise({ device, seed: 5 });
  const trainer = new Trainer({
    device,
    model,
    optimiser: (parameters) => adamW(parameters),
    schedule: cosine({ peak: 0.02, warmUp: 2, steps: 40 }),
    batches: chains(3, model.length),
    clip: 1,
    seed: 9,
    ...options,
  });
  return { trainer, model };
}

export function disposeOf({ trainer, model }: Trained): void {
  trainer.dispose();
  model.dispose();
}

/** All parameters, one after the other. */
export async function weightsOf({ model }: Pick<Trained, 'model'>): Promise<Float32Array> {
  const all = await Promise.all([...model.stateDict().values()].map((one) => one.data()));
  return Float32Array.from(all.flatMap((one) => [...one]));
}
