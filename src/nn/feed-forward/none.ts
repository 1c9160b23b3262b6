import type { Tensor } from '../../tensor/index.js';
import type { FeedForward } from '../layer.js';
import { Module } from '../module.js';
import { defineFeedForward } from './define.js';

/** Of a layer that is a mixer alone: a block with it has no second branch. */
export class NoFeedForward extends Module implements FeedForward {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** A layer without one, as in Mamba. */
export const none = defineFeedForward({
  name: 'none',
  summary: 'No feed-forward layer: the layer is what mixes tokens alone.',
  paper: {
    authors: 'Gu, Dao',
    title: 'Mamba: Linear-Time Sequence Modeling with Selective State Spaces',
    year: 2023,
    arxiv: '2312.00752',
  },
  formula: '—',
  options: {},
  supports: { hidden: false, activation: false, gated: false },
  cost: () => ({ multiplyAdds: 0 }),
  create: () => new NoFeedForward(),
});
