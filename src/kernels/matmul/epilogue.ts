import { memoised } from '../../core/memo.js';
import { key, liftConstants, type Expression } from '../../codegen/expression/index.js';
import { lowerVector } from '../../codegen/lower.js';
import type { F32, I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';

/** A scalar function of the f32 variable `x0`, its constants lifted so that one program serves them all. */
export interface Activation {
  readonly expression: Expression;
  readonly key: string;
  readonly values: readonly number[];
}

export const prepareActivation = memoised((expression: Expression): Activation => {
  const { expression: lifted, values } = liftConstants(expression);
  return { expression: lifted, key: key(lifted), values };
});

/** What happens to a finished sum on its way to memory. */
export interface Epilogue {
  readonly activation: Activation | undefined;
  /** Whether the sum itself is stored as well, for the gradient. */
  readonly keep: boolean;
}

export const noEpilogue: Epilogue = { activation: undefined, keep: false };

export const epilogueKey = ({ activation, keep }: Epilogue): string => `${activation?.key ?? ''}${keep ? '+' : ''}`;

export const constantCount = ({ activation }: Epilogue): number => activation?.values.length ?? 0;
export const constantsOf = ({ activation }: Epilogue): readonly number[] => activation?.values ?? [];

/** The activation of a vector of sums; its constants are the parameters from `firstConstant` on. */
export function activate(k: VectorBuilder, { activation }: Epilogue, firstConstant: number, x: VF): VF {
  if (activation === undefined) return x;
  const parameter = (slot: number): F32 => k.parameter(firstConstant + slot, 'f32');
  return lowerVector(k, activation.expression, { variables: { x0: x }, parameter }) as VF;
}

export interface Finish {
  /** Sums in thread workspace, readable in whole vectors. */
  readonly sums: Pointer;
  readonly count: I32;
  readonly to: Pointer;
  /** Where the sum goes that is kept. */
  readonly kept: Pointer;
  /** Not 0 where `to` holds the sum of earlier steps. */
  readonly continues: I32;
  /** Not 0 where no step follows. */
  readonly ends: I32;
}

/** `to[i] = activation(sums[i] + what is there)` for `count` elements of a row. */
export function finishRow(k: VectorBuilder, epilogue: Epilogue, firstConstant: number, row: Finish): void {
  const vector = (at: I32, count?: I32): void => {
    const [to, kept] = [k.offset(row.to, at, 4), k.offset(row.kept, at, 4)];
    const x = k.variable('vf', k.loadVF(k.offset(row.sums, at, 4)));
    k.if(row.continues, () => k.assign(x, k.add(x, k.loadVF(to, 0, count))));
    if (epilogue.activation !== undefined) {
      k.if(row.ends, () => {
        if (epilogue.keep) k.store(kept, x, 0, count);
        k.assign(x, activate(k, epilogue, firstConstant, x));
      });
    }
    k.store(to, x, 0, count);
  };
  eachVector(k, k.constant('i32', 0), row.count, vector);
}
