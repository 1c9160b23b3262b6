export {
  F32,
  I32,
  Bool,
  variable,
  constant,
  select,
  wrap,
  type Scalar as ScalarExpression,
  type Typed,
  type F32Like,
  type I32Like,
  type BoolLike,
} from './fluent.js';
export {
  freeVariables,
  isExpression,
  node,
  signatures,
  substitute,
  tablesOf,
  topological,
  rebuild,
  withArgs,
  type Expression,
  type ExpressionType,
  type Op,
  type Table,
  type TypedArray,
} from './node.js';
export { lookup, tableOf, type HostTable } from './tables.js';
export { print, key } from './print.js';
export { liftConstants, type Lifted } from './lift.js';
export { compile, evaluate, meaning, hostData, type EvaluateOptions } from './evaluate.js';
export { bounds, boundLanes, provablyInRange, type Bounds, type Interval } from './bounds.js';
export { fold, simplify } from './simplify.js';
export { differentiate, differentiateTable, type TableGradient } from './differentiate.js';
export { differences, differenceName, separate, type Separated } from './affine.js';
