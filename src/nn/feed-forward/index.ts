export {
  defineFeedForward,
  FeedForwardKind,
  type FeedForwardDefinition,
  type FeedForwardSizes,
  type FeedForwardSupports,
  type SectionSize,
} from './define.js';
export { DenseFeedForward, type FeedForwardOptions } from './dense.js';
