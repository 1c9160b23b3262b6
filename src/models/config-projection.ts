import { reasonsAgainstFactored, type FactoredOptions } from '../nn/factored.js';
import { poolsBy } from './config-pooling.js';
import type { Given } from './config-sections.js';
import type { ModelConfig, ProjectionConfig } from './model-config.js';

/** As published, where nothing is said: as many modules as heads. */
export const projectionOf = (given: Given, heads: number): ProjectionConfig =>
  (given['name'] === 'factored' ? { modules: heads, kernel: 3, ...given } : given) as ProjectionConfig;

/** The sizes of a projection by few weights. */
export function factoredBy(projection: ProjectionConfig | undefined): FactoredOptions | undefined {
  if (projection?.name !== 'factored') return undefined;
  const { modules, kernel } = projection;
  return { modules, kernel };
}

/** What a layer's projection has against the rest of it. */
export function projectionReasons(config: ModelConfig): string[] {
  const { kind, width, heads, kvHeads, headDim, mixer, pooling, projection } = config;
  if (projection === undefined) return [];
  if (projection.name === 'dense') {
    return Object.keys(projection).length === 1
      ? []
      : ['projection dense has no modules and no kernel: leave them out'];
  }
  return [
    mixer && `projection is of attention; leave mixer ${mixer.name} out`,
    kind !== 'decoder' &&
      kind !== 'encoder' &&
      `projection factored is of rows that are queries and keys alike; got kind ${kind}: take a decoder or an encoder`,
    poolsBy(pooling) && 'projection factored is of rows that are queries and keys alike; leave pooling out',
    (heads * headDim !== width || kvHeads !== heads) &&
      `projection factored gives as many queries, keys and values as features ${width}; got ${heads} heads of ${headDim} and ${kvHeads} of keys`,
    ...reasonsAgainstFactored(width, projection),
  ].filter((reason) => typeof reason === 'string');
}
