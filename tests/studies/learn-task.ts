import { CapabilityError } from '../../src/core/errors.js';
import { refuse, reasonsAgainst, wholeFrom } from '../../src/core/requirements.js';
import { NOTHING_ASKED, type Task, taskBatch, type TaskOptions } from '../../src/data/index.js';
import type { Device } from '../../src/devices/index.js';
import { createNextTokenModel } from '../../src/models/create.js';
import { type LanguageModel, type ModelConfig, Transformer } from '../../src/models/index.js';
import { argmax } from '../../src/ops/index.js';
import { noGradient, scope, tensor } from '../../src/tensor/index.js';
import type { BatchSource } from '../../src/train/micro-batch.js';
import { adamW } from '../../src/train/optimisers/index.js';
import { cosine } from '../../src/train/schedules.js';
import { Trainer } from '../../src/train/trainer.js';

/** What is asked, and how often at a time. */
export interface Asked {
  readonly task: Task;
  readonly batchSize: number;
  /** Of the samples, and of the weights in training. */
  readonly seed: number;
  readonly options?: TaskOptions | undefined;
}

export interface LearnTaskOptions extends Asked {
  readonly device: Device;
  /** Its length is that of the samples. */
  readonly config: ModelConfig;
  readonly steps: number;
  /** Highest learning rate of AdamW; after a warm-up of a tenth of the steps it falls by a cosine to a tenth. */
  readonly rate: number;
  readonly onStep?: ((step: number, loss: number) => void) | undefined;
}

export interface LearnedTask {
  /** The caller's to dispose of. */
  readonly model: LanguageModel;
  /** Mean cross-entropy of the answers of each step, in nats. */
  readonly losses: readonly number[];
}

/** Batches of a task, endless: only the answer is asked for. */
export function taskBatches({ task, batchSize, seed, options }: Asked, length: number): BatchSource {
  return {
    batchSize,
    length,
    batch: (step) => taskBatch(task, { seed, batchSize, length, ...options }, step),
    startsAnew: () => true,
  };
}

/**
 * Trains a model to answer a task. Step `s` has the samples `B·s … B·s + B − 1`: no sample is seen twice, and everything follows
 * from the seed.
 *
 * @throws OptionError for numbers out of range, NumericsError for a loss or gradient that is not finite.
 */
export async function learnTask(options: LearnTaskOptions): Promise<LearnedTask> {
  const { device, config, steps, rate, seed, onStep } = options;
  refuse('learnTask', reasonsAgainst({ steps }, { steps: wholeFrom(1) }));
  const model = createNextTokenModel(config).initialise({ device, seed });
  try {
    const trainer = new Trainer({
      device,
      model,
      optimiser: (parameters) => adamW(parameters, { beta2: 0.99, weightDecay: 0 }),
      schedule: cosine({ peak: rate, floor: rate / 10, steps, warmUp: Math.floor(steps / 10) }),
      batches: taskBatches(options, config.length),
      clip: 1,
      seed,
    });
    try {
      const losses: number[] = [];
      while (losses.length < steps) {
        losses.push((await trainer.step()).loss);
        onStep?.(losses.length, losses.at(-1)!);
      }
      return { model, losses };
    } finally {
      trainer.dispose();
    }
  } catch (error) {
    model.dispose();
    throw error;
  }
}

export interface AnswerOptions extends Asked {
  readonly device: Device;
  readonly model: LanguageModel;
  readonly length: number;
  /** The first batch, such as the number of steps of training: its samples and the later ones are new to the model. */
  readonly first: number;
  /** Number of batches. */
  readonly batches: number;
}

export interface Answers {
  /** Share of answers that are right in every token. What is most likely at each place, decoded greedily, is the same. */
  readonly answers: number;
  /** Share of the tokens of answers that are right, each after the right ones before it. */
  readonly tokens: number;
  readonly samples: number;
}

/**
 * How often the most likely tokens are the answer.
 *
 * @throws OptionError for numbers out of range, CapabilityError for a model that reads a text in segments.
 */
export async function answersOf(options: AnswerOptions): Promise<Answers> {
  const { task, device, model, length, first, batches, batchSize, seed, options: own } = options;
  refuse('answersOf', reasonsAgainst({ first, batches }, { first: wholeFrom(0), batches: wholeFrom(1) }));
  if (!(model instanceof Transformer)) {
    throw new CapabilityError('answersOf: the model must be a decoder that reads a text whole; take kind "decoder".');
  }
  model.eval();
  let [answers, mistakes, asked] = [0, 0, 0];
  for (let step = first; step < first + batches; step++) {
    const { tokens: shown, targets } = taskBatch(task, { seed, batchSize, length, ...own }, step);
    const likeliest = scope(() =>
      noGradient(() => argmax(model.logits(tensor(shown, [batchSize, length], { device })), { axis: -1 })),
    );
    const said = await likeliest.data();
    likeliest.dispose();
    for (let row = 0; row < batchSize; row++) {
      let wrong = 0;
      for (let place = row * length; place < (row + 1) * length; place++) {
        if (targets[place] === NOTHING_ASKED) continue;
        asked++;
        if (said[place] !== targets[place]) wrong++;
      }
      mistakes += wrong;
      if (wrong === 0) answers++;
    }
  }
  const samples = batches * batchSize;
  return { answers: answers / samples, tokens: 1 - mistakes / asked, samples };
}
