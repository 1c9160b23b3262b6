import { listOfNumbers, reasonsAgainst, wholeFrom, type Requirements } from '../core/requirements.js';
import { clusterReasons } from '../nn/adaptive.js';
import { gridReasons } from '../nn/grid-table.js';
import type { LearnedPositions } from '../nn/position-options.js';
import { layersOf } from './config-layers.js';
import type { ModelConfig } from './model-config.js';

/** What is wrong with the two ends of a model. */
export function endReasons(config: ModelConfig): readonly (string | false)[] {
  const { kind, vocabulary, outputs, length, width, tied, head, embedding, prediction, position } = config;
  const { width: own = width } = embedding ?? {};
  const { transform, transformBias, norm } = prediction ?? {};
  const learned = position.method === 'learned' ? position : {};
  const { grid, ...counted } = learned as LearnedPositions & { readonly method?: string };
  const { first = 0, rows = length + first, padding = 0 } = counted;
  const { method: _, ...others } = counted;
  return [
    embedding?.given === true &&
      (kind !== 'encoder' || prediction !== undefined || Object.keys(embedding).length > 1) &&
      'embedding.given is for encoders that predict no tokens: leave prediction and the other keys of embedding out',
    ...prefixReasons(config),
    ...adaptiveReasons(vocabulary, own, { embedding, prediction, outputs }),
    tied &&
      !embedding?.adaptive &&
      head === undefined &&
      own !== width &&
      transform === undefined &&
      `tied logits are of rows of embedding.width ${own}, and the layers give ${width}: set prediction.transform, or tied false`,
    transform === undefined &&
      (transformBias ?? norm) !== undefined &&
      'prediction.transformBias and prediction.norm are for a prediction.transform; leave them out',
    head !== undefined && prediction !== undefined && 'prediction is of tokens, and a model with a head tells classes',
    ...(grid ? gridReasons(grid, length, own) : []),
    grid !== undefined &&
      Object.keys(others).length > 0 &&
      `position.grid counts from its first row on and leaves nothing out; leave ${Object.keys(others).join(', ')} out`,
    ...joinedReasons(config),
    rows < length + first &&
      `position.rows must be at least ${length + first}, for length ${length} from row ${first} on; got ${rows}`,
    padding >= vocabulary && `position.padding must be a token of the ${vocabulary}; got ${padding}`,
  ];
}

/** What is wrong with rows before those of a text. */
function prefixReasons(config: ModelConfig): readonly (string | false)[] {
  const { kind, embedding } = config;
  const layers = layersOf(config);
  const methods = layers.map(({ position: { method } }) => method);
  const placed = methods.find((method) => !['none', 'learned', 'sinusoidal'].includes(method));
  if (embedding?.prefix === undefined) {
    return [layers.some(({ norm }) => norm.prefix) && 'norm.prefix is for the rows of embedding.prefix; leave it out'];
  }
  return [
    kind !== 'encoder' && kind !== 'encoder-decoder' && `embedding.prefix is for encoders; got kind ${kind}`,
    placed !== undefined && `embedding.prefix takes positions that are added to embeddings, or none; got ${placed}`,
    layers.some(({ mixer, pooling }) => mixer ?? pooling) &&
      'embedding.prefix is for layers of attention that give as many rows as they take',
    layers.some(({ norm }) => norm.prefix && norm.place !== 'pre') && 'norm.prefix is for norm.place "pre"',
  ];
}

/** What is wrong with two streams that come out side by side. */
function joinedReasons({ kind, tied, residual, prediction, head }: ModelConfig): readonly (string | false)[] {
  if (residual.joined !== true) return [];
  return [
    residual.kind !== 'reversible' && `residual.joined is for residual "reversible"; got "${residual.kind}"`,
    kind !== 'decoder' && kind !== 'encoder' && `residual.joined is for kinds decoder and encoder; got ${kind}`,
    tied &&
      head === undefined &&
      prediction?.transform === undefined &&
      'residual.joined gives rows twice as wide as the table, so tied must be false',
  ];
}

/** Whether both streams of reversible layers come out, side by side. */
const joins = (config: ModelConfig): boolean => layersOf(config).every(({ residual }) => residual.joined === true);

/** Size of the rows after the last layer. */
export const rowWidth = (config: ModelConfig): number => (joins(config) ? 2 : 1) * config.width;

/** What is wrong with embeddings and a softmax by clusters. */
function adaptiveReasons(
  vocabulary: number,
  width: number,
  {
    embedding,
    prediction,
    outputs = vocabulary,
  }: { readonly [K in 'embedding' | 'prediction' | 'outputs']: ModelConfig[K] | undefined },
): readonly string[] {
  const { adaptive } = embedding ?? {};
  if (adaptive === undefined) {
    return prediction?.adaptive ? ['prediction.adaptive is for embedding.adaptive, whose clusters it takes'] : [];
  }
  const faults = reasonsAgainst(adaptive, clusters, ['cutoffs'], 'embedding.adaptive');
  const { adaptive: _, ...others } = prediction ?? {};
  return [
    ...faults,
    ...(faults.length > 0
      ? []
      : clusterReasons(vocabulary, { ...adaptive, width }).map((reason) => `embedding.adaptive: ${reason}`)),
    ...(Object.keys(others).length > 0
      ? [`prediction of an adaptive embedding has clusters alone; leave ${Object.keys(others).join(', ')} out`]
      : []),
    ...(outputs < vocabulary ? ['outputs are all tokens where embeddings are adaptive; leave outputs out'] : []),
  ];
}

const clusters: Requirements = { cutoffs: listOfNumbers, divide: wholeFrom(1) };
