import type { LearnedPositions } from '../nn/positions.js';
import type { ModelConfig } from './model-config.js';

/** What is wrong with the two ends of a model. */
export function endReasons({
  vocabulary,
  length,
  width,
  tied,
  head,
  embedding,
  prediction,
  position,
}: ModelConfig): readonly (string | false)[] {
  const { width: own = width } = embedding ?? {};
  const { transform, transformBias, norm } = prediction ?? {};
  const learned = position.method === 'learned' ? position : {};
  const { first = 0, rows = length + first, padding = 0 } = learned as LearnedPositions;
  return [
    tied &&
      head === undefined &&
      own !== width &&
      transform === undefined &&
      `tied logits are of rows of embedding.width ${own}, and the layers give ${width}: set prediction.transform, or tied false`,
    transform === undefined &&
      (transformBias ?? norm) !== undefined &&
      'prediction.transformBias and prediction.norm are for a prediction.transform; leave them out',
    head !== undefined && prediction !== undefined && 'prediction is of tokens, and a model with a head tells classes',
    rows < length + first &&
      `position.rows must be at least ${length + first}, for length ${length} from row ${first} on; got ${rows}`,
    padding >= vocabulary && `position.padding must be a token of the ${vocabulary}; got ${padding}`,
  ];
}
