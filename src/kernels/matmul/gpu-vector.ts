import type { GpuText } from '../../codegen/gpu.js';
import { expressionFunction } from '../../codegen/render/wgsl-function.js';
import { each, loaders, loadOf } from '../gpu/stage.js';
import { gpuVectorColumns as columns } from './gpu-plan.js';
import type { VectorSpec } from './vector-spec.js';

type Names = Readonly<
  Record<
    | 'x'
    | 'b'
    | 'bias'
    | 'out'
    | 'kept'
    | 'N'
    | 'K'
    | 'batches'
    | 'xDiv'
    | 'xMod'
    | 'bDiv'
    | 'bMod'
    | 'ranges'
    | 'splitDepth',
    string
  >
>;

const invocations = 256;
/** Invocations along the inner sum of a column: neighbours follow what is contiguous. */
const parts = { contiguous: invocations / columns, transposed: 32 } as const;
/** The text of `vectorKernel`: a workgroup has 64 columns, and its invocations share their inner sums. */
export function vectorText({ x, b, bias, epilogue }: VectorSpec, p: Names, constant: (i: number) => string): GpuText {
  const { activation, keep } = epilogue;
  const constants = (activation?.values ?? []).map((_, i) => ({ kind: 'f32', text: constant(i) }) as const);
  const factor = (k: string): string => loadOf(x, p.x, `u32(xStart + ${k})`, 'true');
  const value = (k: string, column: string): string =>
    loadOf(
      b.dtype,
      p.b,
      b.contiguous ? `u32(bStart + ${k} * ${p.N} + ${column})` : `u32(bStart + ${column} * ${p.K} + ${k})`,
      `${column} < ${p.N}`,
    );
  const pitch = b.contiguous ? parts.contiguous : parts.transposed + 1;
  // neighbours have neighbouring columns of a row
  const alongRows = `
  let c = column + i32(lane % ${columns}u);
  var sum = 0.0;
  for (var k = first + i32(lane / ${columns}u); k < last; k += ${parts.contiguous}i) {
    sum = fma(${factor('k')}, ${value('k', 'c')}, sum);
  }
  memory[lane % ${columns}u * ${pitch}u + lane / ${columns}u] = sum;`;
  // or neighbouring steps of a column, of which each has some
  const some = (columns * parts.transposed) / invocations;
  const alongSteps = `
  let own = column + i32(lane / ${parts.transposed}u) * ${some}i;
  ${each(some, (i) => `var sum${i} = 0.0;`)}
  for (var k = first + i32(lane % ${parts.transposed}u); k < last; k += ${parts.transposed}i) {
    let x = ${factor('k')};
    ${each(some, (i) => `sum${i} = fma(x, ${value('k', `(own + ${i}i)`)}, sum${i});`)}
  }
  ${each(some, (i) => `memory[(lane / ${parts.transposed}u * ${some}u + ${i}u) * ${pitch}u + lane % ${parts.transposed}u] = sum${i};`)}`;
  const start = bias
    ? `if (first == 0i) { sum = ${loadOf(bias.dtype, p.bias, bias.one ? '0u' : 'u32(c)', 'true')}; }`
    : '';
  const wgsl = `
${loaders([x, b.dtype, ...(bias ? [bias.dtype] : [])])}
${activation ? expressionFunction('activate', activation.expression, { x0: 'f32' }, { constants }) : ''}
var<workgroup> memory: array<f32, ${columns * pitch}>;

fn run(task: u32, lane: u32) {
  let column = i32(task) % ${p.ranges} * ${columns}i;
  let matrix = i32(task) / ${p.ranges};
  let batch = matrix % ${p.batches};
  let first = matrix / ${p.batches} * ${p.splitDepth};
  let last = min(first + ${p.splitDepth}, ${p.K});
  let xStart = (batch / ${p.xDiv}) % ${p.xMod} * ${p.K};
  let bStart = (batch / ${p.bDiv}) % ${p.bMod} * (${p.K} * ${p.N});
  {${b.contiguous ? alongRows : alongSteps}
  }
  workgroupBarrier();
  let c = column + i32(lane);
  if (lane < ${columns}u && c < ${p.N}) {
    var sum = 0.0;
    ${start}
    for (var i = 0u; i < ${b.contiguous ? parts.contiguous : parts.transposed}u; i++) { sum += memory[lane * ${pitch}u + i]; }
    let at = u32(matrix * ${p.N} + c);
    ${activation && keep ? `arena[${p.kept} / 4u + at] = bitcast<u32>(sum);` : ''}
    arena[${p.out} / 4u + at] = bitcast<u32>(${activation ? 'activate(sum)' : 'sum'});
  }
}
`;
  return { wgsl, workgroupSize: invocations };
}
