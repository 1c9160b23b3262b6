export * from './checkpoint/index.js';
export { clipGradients, type Clipped, type ClipOptions, type NamedGradients } from './clip.js';
export { evaluate, type EvaluateOptions, type Evaluation } from './evaluate.js';
export { lossScaler, type LossScaleOptions, type LossScaler, type LossScaleState } from './loss-scale.js';
export {
  parseMetrics,
  type EvaluationMetric,
  type LayersMetric,
  type Metric,
  type SessionMetric,
  type StepMetric,
  type StopMetric,
  type StopReason,
} from './metrics.js';
export type { BatchSource, HostBatch, HostInput, TokensAndTargets } from './micro-batch.js';
export {
  checkExport,
  exportModel,
  loadModel,
  type ExportedJson,
  type ExportModelOptions,
  type LoadModelOptions,
} from './model-file.js';
export type { Body, JsonObject, Origin } from './model-from.js';
export { modelOf, type LoadedModel, type ModelOfOptions } from './model-of.js';
export * from './optimisers/index.js';
export { fitToMemory, type Fitted } from './fit.js';
export { readTensors, type ReadTensorsOptions } from './read-tensors.js';
export { rehearseTraining, type RehearseTrainingOptions, type TrainingCost } from './rehearse.js';
export type { Evaluated, Limits, RunOptions, Timed } from './run-options.js';
export { runTraining, type RunResult } from './run.js';
export {
  constantRate,
  cosine,
  inverseSquareRoot,
  type CosineOptions,
  type Schedule,
  type WarmUpOptions,
} from './schedules.js';
export { Trainer, type Statistics, type StepResult, type TrainerOptions } from './trainer.js';
export { loadAdapters, saveAdapters, type AdapterNote } from './adapters.js';
