export { exportPretrained, type ExportPretrainedOptions } from './export.js';
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
export { readGolden, type Golden } from './golden.js';
export { loadLlama2c, type Llama2c, type Llama2cOptions } from './llama2c.js';
export { loadPretrained, type LoadPretrainedOptions } from './load.js';
export type { Pretrained } from './loaded.js';
export { families } from './registry.js';
export { runPretrained, type RunPretrainedOptions } from './run.js';
export type { Requirement } from '../core/requirements.js';
export type { DownloadOptions, DownloadProgress, HubFile, HubPackage, LoadHub } from './hub.js';
export type { ModelSource } from './model-source.js';
export type { HubOptions, PretrainedSource, SourceOptions, SourceProgress } from './source.js';
export { verifyPretrained, type Verified, type VerifiedRow, type VerifyOptions } from './verify.js';
