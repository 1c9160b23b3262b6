export {
  defineFamily,
  tasks,
  type ClassDefinition,
  type Family,
  type FamilyDefinition,
  type Outputs,
  type PublishedClass,
  type PublishedMap,
  type RunCall,
  type Task,
} from './family.js';
export { commonFields, type Field, type Fields, type Theirs, type Values } from './fields.js';
export type { HostArray, Inputs } from './inputs.js';
export { loadPretrained, type LoadPretrainedOptions } from './load.js';
export type { Pretrained } from './loaded.js';
export { families } from './registry.js';
export { runPretrained } from './run.js';
export type { PretrainedSource } from './source.js';
