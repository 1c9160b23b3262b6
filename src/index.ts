export {
  createDevice,
  type Category,
  type Counters,
  type Device,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceLike,
  type Gpu,
  type GpuDevice,
  type Recording,
  type DeviceOptions,
  type KernelArgument,
  type KernelWork,
  type Ledger,
  type RunOptions,
} from './devices/index.js';
export {
  gradients,
  keep,
  leakedTensors,
  liveTensors,
  noGradient,
  recompute,
  scope,
  tensor,
  Tensor,
  full,
  useDevice,
  zeros,
  type Gradient,
  type GradientOptions,
  type RowGradient,
  type RowGradientOf,
  type TensorOptions,
} from './tensor/index.js';
export {
  defineAttention,
  Mechanism,
  mechanism,
  mechanisms,
  registerMechanism,
  type AttentionResult,
  type AttentionShape,
} from './attention/index.js';
export type { Dtype, FloatDtype, HostArray } from './core/dtype.js';
export type { Shape } from './core/shape.js';
export {
  CapabilityError,
  DeviceError,
  FormatError,
  NumericsError,
  OptionError,
  OutOfMemoryError,
  ShapeError,
} from './core/errors.js';
export * from './ops/index.js';
export type { Dropout as AttendDropout } from './ops/attend/options.js';
export type { DropoutOptions } from './ops/dropout.js';
export type { NoisePlace } from './ops/noise.js';
export {
  blocks,
  byHead,
  causal,
  dense,
  dilated,
  document,
  fixed,
  global,
  lengths,
  localBlocks,
  localImage,
  mask,
  Mask,
  pickedBlocks,
  prefix,
  shiftedBlocks,
  strided,
  within,
} from './masks/index.js';
export type {
  F32 as KernelF32,
  I32 as KernelI32,
  Kind as KernelKind,
  Pointer,
  Value as KernelValue,
  Variable as KernelVariable,
  VectorBuilder,
  VF,
  VI,
} from './codegen/vector.js';
export type { ParameterKind, Signature as KernelSignature } from './codegen/program.js';
export * from './positions/index.js';
export * from './scores/index.js';
export {
  constant,
  lookup,
  print,
  select,
  tableOf,
  variable,
  type Bool,
  type BoolLike,
  type Expression,
  type ExpressionType,
  type F32,
  type F32Like,
  type HostTable,
  type I32,
  type I32Like,
  type Interval,
  type Op,
  type ScalarExpression,
  type Table,
  type Typed,
  type TypedArray,
} from './codegen/expression/index.js';
