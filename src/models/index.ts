export { Classifier } from './classifier.js';
export { CompressiveTransformer } from './compressive.js';
export {
  kinds,
  positionNames,
  readConfig,
  residualKinds,
  type ModelConfig,
  type ModelKind,
  type ResidualKind,
} from './config.js';
export { layersOf, type LayerConfig } from './config-layers.js';
export type {
  DecoderConfig,
  EmbeddingConfig,
  LayerSizes,
  PoolingConfig,
  PredictionConfig,
  ProjectionConfig,
  ScoringConfig,
} from './model-config.js';
export { preset, presetOf, presets, type Preset, type PresetName } from './presets.js';
export { pools, type HeadConfig, type Pool } from './head.js';
export { createModel, openSession } from './create.js';
export { EncoderDecoder, type PairBatch, type SourceOptions } from './encoder-decoder.js';
export type { LayerMemory } from './memory.js';
export type { Carried } from './recurrent-layer.js';
export { IGNORED } from './loss.js';
export type { LanguageModel, Loss, LossOptions, Model, ModelState, TokenBatch } from './model.js';
// here and not with the layers: Synthesizer brings a mechanism, and so all of decoding
export { fnetMixer } from '../nn/mixers/fnet.js';
export { linearEncoder } from '../nn/mixers/linear-encoder.js';
export { mlpMixer } from '../nn/mixers/mlp-mixer.js';
export { randomEncoder } from '../nn/mixers/random-encoder.js';
export { tokenFuser } from '../nn/mixers/token-fuser.js';
export { tokenLearner } from '../nn/mixers/token-learner.js';
export { mixer, mixers, registerMixer } from '../nn/mixers/registry.js';
export { feedForward, feedForwards, registerFeedForward } from '../nn/feed-forward/registry.js';
export { synthesizerMixer } from '../nn/mixers/synthesizer.js';
export { Stack, type StackOptions } from './stack.js';
export { RecurrentModel } from './recurrent.js';
export { TransformerXl, type Segment, type SegmentOptions } from './transformer-xl.js';
export { XlNet } from './xlnet.js';
export { Ends } from './ends.js';
export type { GivenRows } from './given-rows.js';
export { Transformer } from './transformer.js';
export { adaptersOf, mergeAdapters, type LoraConfig } from './adapt.js';
export { beamSearch, type Beam, type BeamOptions } from './beams.js';
export { generateText, type GenerateTextOptions, type TextCoder, type TextEnd } from './generate-text.js';
export type { PenaltyOptions } from './penalties.js';
export { generate, generateRows, type GenerateOptions, type GenerateRowsOptions } from './generate.js';
export { sample, type SampleOptions } from './sample.js';
export type { SegmentModel, SegmentSession } from './segment-session.js';
export { Session, type DecodingModel } from './session.js';
export type { SessionHeader, SessionState } from './session-state.js';
export type { SourcesHeader } from './sources.js';
export type { SessionOptions, TextSession } from './text-session.js';
