import type { OptionValues } from '../../../attention/options.js';
import type { FeedForwardSizes } from '../define.js';
import { Experts, type ExpertsOptions } from './experts.js';
import { capacityOptions, routerOptions, secondOptions } from './options.js';

/** Tokens that GShard routes together, as Mesh TensorFlow has it. */
export const GROUP = 1024;

/** Of routers that take two experts as GShard does. */
export const gshardOptions = (usual: Parameters<typeof routerOptions>[0]) => ({
  ...routerOptions(usual),
  ...capacityOptions(GROUP),
  ...secondOptions,
});

/** What those of GShard, GLaM and ST-MoE have in common: two experts, whose weights add up to 1, the second by chance. */
export const twoExperts = (
  sizes: FeedForwardSizes,
  own: OptionValues<ReturnType<typeof gshardOptions>>,
  more: Partial<Pick<ExpertsOptions, 'initScale' | 'dense'>> = {},
): Experts => {
  const { capacity, evaluationCapacity, minCapacity, secondPolicy, threshold, ...rest } = own;
  return new Experts(sizes, {
    ...rest,
    active: 2,
    renormalise: true,
    counts: 'first',
    capacity: { training: capacity, evaluation: evaluationCapacity, least: minCapacity },
    later: { policy: secondPolicy, threshold },
    jitter: 0,
    initScale: 1,
    shared: 0,
    sharedGate: false,
    ...more,
  });
};

/** Where all three depart from their papers. */
export const aboutRoom =
  'Without a step of training there is no chance, and the second expert is always taken. Room is counted in groups of one sequence, of its real tokens. Second choices queue behind all first ones of the group, so whether there is room for one depends on later tokens. In a session the tokens of a call are a group: in a step of one token nothing is dropped.';
