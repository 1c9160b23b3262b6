import { parameterList, type Kernel } from '../kernel.js';
import { activate, constantParameters, epilogueKey, type Epilogue } from './epilogue.js';
import type { I32 } from '../../codegen/vector.js';

const names = { parts: 'pointer', out: 'pointer', kept: 'pointer', size: 'i32', splits: 'i32' } as const;

/** Elements of one task. */
export const combineChunk = 4096;

export const combineParameters = (epilogue: Epilogue) => parameterList({ ...names, ...constantParameters(epilogue) });

/** `out = activation(Σ_s parts[s])`, added in order: the end of a product whose inner sum was split. */
export function combineKernel(epilogue: Epilogue): Kernel {
  const list = combineParameters(epilogue);
  return {
    name: 'matmul combine',
    key: epilogueKey(epilogue),
    parameters: list.kinds,
    cpu: (k) => {
      const p = list.read(k);
      const vector = (at: I32, count?: I32): void => {
        const part = k.variable('pointer', k.offset(p.parts, at, 4));
        const sum = k.variable('vf', k.loadVF(part, 0, count));
        k.loop(1, p.splits, () => {
          k.assign(part, k.offset(part, p.size, 4));
          k.assign(sum, k.add(sum, k.loadVF(part, 0, count)));
        });
        if (epilogue.keep) k.store(k.offset(p.kept, at, 4), sum, 0, count);
        k.store(k.offset(p.out, at, 4), activate(k, epilogue, p, sum), 0, count);
      };
      k.loop(k.begin, k.end, (task) => {
        const first = k.mul(task, combineChunk);
        const last = k.min(k.add(first, combineChunk), p.size);
        const whole = k.add(first, k.and(k.sub(last, first), -k.width));
        k.loop(first, whole, (at) => vector(at), k.width);
        k.if(k.lt(whole, last), () => vector(whole, k.sub(last, whole)));
      });
    },
  };
}
