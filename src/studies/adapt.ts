import type { BatchSource } from '../train/micro-batch.js';
import type { Device } from '../devices/device.js';
import type { LanguageModel } from '../models/model.js';
import { Block } from '../nn/index.js';
import { adamW } from '../train/optimisers/index.js';
import { cosine } from '../train/schedules.js';
import { Trainer } from '../train/trainer.js';

export interface AdaptOptions {
  readonly device: Device;
  readonly batches: BatchSource;
  readonly steps: number;
  readonly seed: number;
  /** Whether all weights are trained, and not only what makes tokens see each other; default false. */
  readonly all?: boolean;
  /** Highest rate; default 5e-4. */
  readonly rate?: number;
  readonly onStep?: ((step: number) => void) | undefined;
}

/** Highest rate; a trained model is to be moved, not trained anew. */
const RATE = 5e-4;

/**
 * Trains what makes tokens see each other, attention's projections and what its mechanism learns, for some steps of AdamW; embeddings,
 * norms and feed-forward layers stay as they are.
 *
 * @throws OptionError where there is no learned parameter in any of its mixers.
 */
export async function adapt(
  model: LanguageModel,
  { device, batches, steps, seed, all = false, rate = RATE, onStep }: AdaptOptions,
): Promise<void> {
  const blocks = model.modules().filter((one) => one instanceof Block);
  const mixing = new Set(
    blocks.flatMap(({ mixer }) => [...mixer.namedParameters().values()].map((parameter) => parameter.path())),
  );
  const trainer = new Trainer({
    device,
    model,
    optimiser: (parameters) => adamW(parameters, { beta2: 0.99 }),
    schedule: cosine({ peak: rate, floor: rate / 10, steps, warmUp: Math.floor(steps / 10) }),
    batches,
    clip: 1,
    seed,
    only: (name) => all || mixing.has(name),
  });
  try {
    for (let step = 1; step <= steps; step++) {
      await trainer.step();
      onStep?.(step);
    }
  } finally {
    trainer.dispose();
  }
}
