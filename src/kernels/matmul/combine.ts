import type { I32 } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import { activate, constantCount, epilogueKey, type Epilogue } from './epilogue.js';
import { typedKernel } from '../typed-kernel.js';

/** Elements of one task. */
export const combineChunk = 4096;

/** `out = activation(Σ_s parts[s])`, added in order: the end of a product whose inner sum was split. */
export const combineKernel = typedKernel({
  name: 'matmul combine',
  key: epilogueKey,
  parameters: { parts: 'pointer', out: 'pointer', kept: 'pointer', size: 'i32', splits: 'i32' },
  constants: constantCount,
  text: (k, epilogue: Epilogue, p, firstConstant) => {
    const vector = (at: I32, count?: I32): void => {
      const part = k.variable('pointer', k.offset(p.parts, at, 4));
      const sum = k.variable('vf', k.loadVF(part, 0, count));
      k.loop(1, p.splits, () => {
        k.assign(part, k.offset(part, p.size, 4));
        k.assign(sum, k.add(sum, k.loadVF(part, 0, count)));
      });
      if (epilogue.keep) k.store(k.offset(p.kept, at, 4), sum, 0, count);
      k.store(k.offset(p.out, at, 4), activate(k, epilogue, firstConstant, sum), 0, count);
    };
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, combineChunk);
      eachVector(k, first, k.min(k.add(first, combineChunk), p.size), vector);
    });
  },
});
