import { gpuModule } from '../../codegen/gpu.js';
import type { VectorBuilder } from '../../codegen/vector.js';
import { constantCount } from './epilogue.js';
import { multiplyKey, multiplyPart, productNames, workspace, type MultiplySpec } from './steps.js';
import { typedKernel, type Read } from '../typed-kernel.js';

export { multiplyScratch, type MultiplySpec } from './steps.js';

const texts = gpuModule(() => import('./gpu.js'));

/** Which of the operands' matrices a batch uses: `⌊batch / div⌋ mod mod`. */
const batching = { batches: 'i32', aDiv: 'i32', aMod: 'i32', bDiv: 'i32', bMod: 'i32' } as const;

const names = {
  ...productNames,
  M: 'i32',
  ...batching,
  blockRows: 'i32',
  blocks: 'i32',
  splitDepth: 'i32',
} as const;

/** `out = activation(A·B + bias)`, for blocks of rows × ranges of columns × parts of the inner sum. */
export const multiplyKernel = typedKernel({
  name: 'matmul',
  key: multiplyKey,
  parameters: names,
  constants: ({ epilogue }: MultiplySpec) => constantCount(epilogue),
  text,
  gpu: (_, spec, p, constant) => texts().multiplyText(spec, p, constant),
});

function text(k: VectorBuilder, spec: MultiplySpec, p: Read<typeof names>, firstConstant: number): void {
  const space = workspace(k, spec, p);
  k.loop(k.begin, k.end, (task) => {
    const m0 = k.mul(k.rem(task, p.blocks), p.blockRows);
    const rest = k.div(task, p.blocks);
    const matrix = k.div(rest, p.ranges);
    const batch = k.rem(matrix, p.batches);
    const aMatrix = k.rem(k.div(batch, p.aDiv), p.aMod);
    const kFirst = k.mul(k.div(matrix, p.batches), p.splitDepth);
    multiplyPart(k, spec, p, firstConstant, space, {
      aStart: k.add(k.mul(aMatrix, k.mul(p.M, p.K)), k.mul(m0, p.aRow)),
      bMatrix: k.rem(k.div(batch, p.bDiv), p.bMod),
      bias: p.bias,
      outRow: k.add(k.mul(matrix, p.M), m0),
      rows: k.min(k.sub(p.M, m0), p.blockRows),
      range: k.rem(rest, p.ranges),
      kFirst,
      kLast: k.min(k.add(kFirst, p.splitDepth), p.K),
    });
  });
}
