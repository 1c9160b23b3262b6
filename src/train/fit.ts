import { OutOfMemoryError } from '../core/errors.js';
import { checkValue } from '../core/requirements.js';
import { checkConfig } from '../models/config.js';
import { everyLayer, inChunksOf, layersOf } from '../models/config-layers.js';
import type { ModelConfig, ResidualKind } from '../models/index.js';
import { checkRehearsal, rehearseTraining, type RehearseTrainingOptions, type TrainingCost } from './rehearse.js';

/** A configuration that fits, and what a step of it takes. */
export interface Fitted {
  readonly config: ModelConfig;
  readonly cost: TrainingCost;
}

/**
 * The configuration itself, with the groups of a checkpointed stack chosen if they are left open: the largest that fit into
 * `limit` bytes, since the last group is not computed twice.
 *
 * @throws OutOfMemoryError that says what a step takes, and what would fit.
 */
export async function fitToMemory(
  config: ModelConfig,
  options: RehearseTrainingOptions,
  limit: number,
): Promise<Fitted> {
  checkConfig('fitToMemory', config);
  checkRehearsal('fitToMemory', options);
  checkValue('fitToMemory', 'limit', limit, { must: 'bytes, above 0', holds: (x) => typeof x === 'number' && x > 0 });
  const { kind, every } = config.residual;
  const open = kind === 'checkpointed' && every === 0;
  const sizes = open ? Array.from({ length: config.layers }, (_, i) => config.layers - i) : [every];
  let least = Infinity;
  for (const size of sizes) {
    const own = open ? everyLayer(config, () => ({ residual: { kind, every: size } })) : config;
    const cost = await rehearseTraining(own, options);
    if (cost.peakBytes <= limit) return { config: own, cost };
    least = Math.min(least, cost.peakBytes);
  }
  const found: string[] = [];
  for (const { what, change, batchSize } of changesOf(config, options.batchSize)) {
    const other = change(config);
    // a batch that was given has its own sizes
    if (options.batch && (batchSize !== options.batchSize || other.length !== config.length)) continue;
    const { peakBytes } = await rehearseTraining(other, { ...options, batchSize });
    if (peakBytes <= limit) found.push(`${what} (${megabytes(peakBytes)})`);
  }
  throw new OutOfMemoryError(
    `train: a step takes ${megabytes(least)}, and ${megabytes(limit)} are allowed; ` +
      (found.length > 0 ? `what fits: ${found.join(', ')}.` : 'nothing that was tried fits; take a smaller model.'),
  );
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** A change, or some together, that saves memory. */
interface Change {
  readonly what: string;
  readonly change: (config: ModelConfig) => ModelConfig;
  readonly batchSize: number;
}

function changesOf(config: ModelConfig, batchSize: number): readonly Change[] {
  const { layers, length, kind, norm } = config;
  const chunk = Math.min(length, 1024);
  const residual = (kind: ResidualKind, every: number) => (of: ModelConfig) =>
    everyLayer(of, () => ({ residual: { kind, every } }));
  const reversible = residual('reversible', 0);
  const inChunks = (of: ModelConfig): ModelConfig => ({
    ...inChunksOf(reversible(of), chunk),
    lossChunk: chunk,
  });
  const residuals: readonly (readonly [what: string, change: Change['change']])[] =
    kind === 'decoder'
      ? [
          ['residual checkpointed', residual('checkpointed', Math.ceil(Math.sqrt(layers)))],
          ...(norm.place !== 'post' && !layersOf(config).some((layer) => layer.residual.parallel)
            ? ([
                ['residual reversible', reversible],
                ['residual reversible with feed-forward and loss in chunks', inChunks],
              ] as const)
            : []),
        ]
      : [];
  const shorter = (part: number): readonly Change[] =>
    length >= 2 * part
      ? [
          {
            what: `length ${length / part}`,
            change: (of: ModelConfig) => ({ ...of, length: length / part }),
            batchSize,
          },
        ]
      : [];
  return [
    ...residuals.map(([what, change]) => ({ what, change, batchSize })),
    ...(batchSize > 1 ? [{ what: 'batch 1', change: (of: ModelConfig) => of, batchSize: 1 }] : []),
    ...(batchSize > 1 ? residuals.map(([what, change]) => ({ what: `batch 1, ${what}`, change, batchSize: 1 })) : []),
    ...(length % 4 === 0 ? [...shorter(2), ...shorter(4)] : []),
  ];
}
