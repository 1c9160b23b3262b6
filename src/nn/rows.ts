import { ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { reshape } from '../ops/index.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import type { Module } from './module.js';

/** @throws ShapeError unless x is `[..., features]`. */
export function checkRows(of: string, module: Module, x: Tensor, features: number): void {
  commonDevice(of, [x]);
  if (x.shape.at(-1) === features) return;
  throw new ShapeError(`${[of, module.path].join(' ').trim()}: x must be [...,${features}]; got ${show(x.shape)}.`);
}

/** `f` of the rows of `x [..., D]`, as `[N, D] → [N, E]`; gives `[..., E]`. */
export function rowsOf(x: Tensor, f: (rows: Tensor) => Tensor): Tensor {
  if (x.rank === 2) return f(x);
  return scope(() => {
    const out = f(reshape(x, [-1, x.shape.at(-1)!]));
    return reshape(out, [...x.shape.slice(0, -1), out.shape[1]!]);
  });
}
