import type { OptionSpecs } from '../../attention/options.js';
import { Registry, type RegisterOptions } from '../../core/registry.js';
import { FeedForwardKind } from './define.js';
import { dense } from './dense.js';
import { glam } from './experts/glam.js';
import { gshard } from './experts/gshard.js';
import { mixtral } from './experts/mixtral.js';
import { nllb } from './experts/nllb.js';
import { stMoe } from './experts/st-moe.js';
import { switchExperts } from './experts/switch.js';
import { none } from './none.js';
import { productKey } from './product-key.js';
import { scaling } from './one-of-blocks.js';

/** Every feed-forward layer of this package, by name. */
export const feedForwards: readonly FeedForwardKind[] = [
  dense,
  switchExperts,
  gshard,
  glam,
  stMoe,
  mixtral,
  nllb,
  productKey,
  scaling,
  none,
];

const registry = new Registry(
  'feed-forward',
  'defineFeedForward',
  feedForwards,
  (value): value is FeedForwardKind => value instanceof FeedForwardKind,
);

/**
 * Makes a feed-forward layer of your own known by its name: to `feedForward` and to the configurations of models. Returns a function that
 * takes the name back.
 *
 * @throws OptionError for a name that is taken, or for what `defineFeedForward` did not make.
 */
export const registerFeedForward = <O extends OptionSpecs>(
  own: FeedForwardKind<O>,
  options: RegisterOptions = {},
): (() => void) => registry.register('registerFeedForward', own, options);

/** The feed-forward layers of this package, then those that were registered. */
export const knownFeedForwards = (): readonly FeedForwardKind[] => registry.known();

/** The file that a registered feed-forward layer was said to come from. */
export const pluginOfFeedForward = (name: string): string | undefined => registry.pluginOf(name);

/** The feed-forward layer of a name, of this package or registered. @throws OptionError for an unknown one, with the nearest. */
export const feedForward = (name: string): FeedForwardKind => registry.get(name);

/** Why the feed-forward layer that a configuration names cannot be had; undefined if it can. */
export const reasonAgainstFeedForward = (name: string, plugin: string | undefined): string | undefined =>
  registry.reasonAgainst(name, plugin, 'registerFeedForward');
