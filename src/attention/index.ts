export {
  attendWithin,
  defineAttention,
  families,
  type AttentionDefinition,
  type Call,
  type Cost,
  type Exactness,
  type ForwardResult,
  type NamedTensors,
  type Paper,
  type Recurrence,
  type StepSeed,
  type Supports,
} from './define.js';
export type { Choices, Gathered } from './choices.js';
export type { CommonOptions, Settings } from './call.js';
export type { CacheKind, Decoder, DecoderHeader, DecoderOptions, DecoderState, StepOptions } from './decoder.js';
export { Mechanism, type AnyOptions, type AttentionResult, type CallOptions } from './mechanism.js';
export {
  choice,
  flag,
  integer,
  integers,
  number,
  type AttentionShape,
  type Default,
  type Described,
  type OptionSpec,
  type OptionSpecs,
  type OptionValues,
  type Range,
} from './options.js';
export {
  constantOf,
  drawn,
  identity,
  learned,
  normalOf,
  orthogonalRows,
  uniformOf,
  type Initialiser,
  type ParameterSpec,
  type ParameterSpecs,
} from './parameters.js';
export { allPairs, costOfPairs, headPairs } from './pairs.js';
export { knownMechanisms, mechanism, mechanisms, registerMechanism, type RegisterOptions } from './registry.js';
export { rehearse, type Rehearsal, type RehearseOptions, type Taken } from './rehearse.js';
export * from './exact/index.js';
export * from './hashing/index.js';
export * from './kernel-methods/index.js';
export * from './low-rank/index.js';
export * from './mixers/index.js';
export * from './patterns/index.js';
export { dilationSchedule, windowSchedule, type DilationStep } from './patterns/schedules.js';
