import type { GpuText } from '../../codegen/gpu.js';
import { expressionFunction } from '../../codegen/render/wgsl-function.js';
import { each, loaders, loadOf, stage } from '../gpu/stage.js';
import type { Wgsl } from '../typed-kernel.js';
import type { GpuTile } from './gpu-plan.js';
import { gpuDepth, gpuTile } from './gpu-plan.js';
import type { Stored } from './pack.js';
import type { MultiplySpec, productNames } from './steps.js';

// One tile of a product is the work of a workgroup: operands pass through workgroup memory in slices of the inner sum, and an invocation
// has four rows times four columns of sums in registers.

/** Which tile of a result a task has: what `Part` is on a CPU. All are WGSL expressions of i32; the first three but `outRow` are of elements. */
const part = `
struct Part {
  aStart: i32,
  bStart: i32,
  bias: i32,
  outRow: i32,
  rows: i32,
  column: i32,
  kFirst: i32,
  kLast: i32,
}
`;

type Names = Wgsl<typeof productNames>;

const storedB = (b: MultiplySpec['b']): Stored => {
  if (b === 'packed') throw new Error('matmul: a GPU reads matrices as they are stored');
  return b;
};

/** Functions of a text around its `run`: `product(part, lane)` writes one tile; all of a workgroup must enter it. */
function productText(spec: MultiplySpec, p: Names, constant: (i: number) => string): string {
  const { a, bias, epilogue } = spec;
  const b = storedB(spec.b);
  const { activation, keep } = epilogue;
  const t = gpuTile(spec.rows);
  const constants = (activation?.values ?? []).map((_, i) => ({ kind: 'f32', text: constant(i) }) as const);
  const value = (
    of: Stored,
    pointer: string,
    start: string,
    inside: string,
    row: string,
    step: string,
    rowPitch: string,
    stepPitch: string,
  ) =>
    loadOf(
      of.dtype,
      pointer,
      `u32(part.${start} + i32(${row}) * ${rowPitch} + (k0 + i32(${step})) * ${stepPitch})`,
      `i32(${row}) < ${inside} && i32(${step}) < steps`,
    );
  const fetch = (which: 'a' | 'b'): string => {
    const { contiguous } = which === 'a' ? a : b;
    const rowsAlong = which === 'a' ? !contiguous : contiguous;
    return stage({
      to: which === 'a' ? '0u' : `${t.b}u`,
      quads: t.quads,
      pitch: t.pitch,
      steps: gpuDepth,
      along: rowsAlong ? 'rows' : 'steps',
      invocations: t.invocations,
      value: (row, step) =>
        which === 'a'
          ? value(a, p.a, 'aStart', 'part.rows', row, step, p.aRow, p.aColumn)
          : value(b, p.b, 'bStart', 'columns', row, step, contiguous ? '1i' : p.K, contiguous ? p.N : '1i'),
    });
  };
  const initial = bias
    ? `if (part.kFirst == 0i) {
      ${each(4, (c) => `start[${c}] = ${loadOf(bias, p.bias, `u32(part.bias + column + ${c}i)`, `column + ${c}i < ${p.N}`)};`)}
    }`
    : '';
  const finish = (r: number): string => `
    if (row + ${r}i < part.rows) {
      let at = u32((part.outRow + row + ${r}i) * ${p.N} + column);
      ${activation && keep ? `put(${p.kept} / 4u + at, sum${r}, columns - (column - part.column));` : ''}
      put(${p.out} / 4u + at, ${activation ? `activate(sum${r})` : `sum${r}`}, columns - (column - part.column));
    }`;
  return `
${loaders([a.dtype, b.dtype, ...(bias ? [bias] : [])])}
${activation ? expressionFunction('activate', activation.expression, { x0: 'vf' }, { constants }) : ''}
${part}
var<workgroup> memory: array<vec4<f32>, ${t.vectors}>;

fn put(at: u32, value: vec4<f32>, count: i32) {
  ${each(4, (c) => `if (count > ${c}i) { arena[at + ${c}u] = bitcast<u32>(value[${c}]); }`)}
}

fn product(part: Part, lane: u32) {
  let tm = lane / ${t.quads}u;
  let tn = lane % ${t.quads}u;
  let row = 4i * i32(tm);
  let column = part.column + 4i * i32(tn);
  let columns = ${p.N} - part.column;
  var start = vec4<f32>(0.0);
  ${initial}
  ${each(4, (r) => `var sum${r} = start;`)}
  for (var k0 = part.kFirst; k0 < part.kLast; k0 += ${gpuDepth}i) {
    let steps = part.kLast - k0;
    ${fetch('a')}
    ${fetch('b')}
    workgroupBarrier();
    for (var k = 0u; k < ${gpuDepth}u; k++) {
      let a = memory[k * ${t.pitch}u + tm];
      let b = memory[${t.b}u + k * ${t.pitch}u + tn];
      ${each(4, (r) => `sum${r} = fma(vec4<f32>(a[${r}]), b, sum${r});`)}
    }
    workgroupBarrier();
  }
  ${each(4, finish)}
}
`;
}

const textOf = (tile: GpuTile, wgsl: string): GpuText => ({ wgsl, workgroupSize: tile.invocations });

/** The text of `multiplyKernel`. */
export function multiplyText(
  spec: MultiplySpec,
  p: Names &
    Readonly<
      Record<'M' | 'batches' | 'aDiv' | 'aMod' | 'bDiv' | 'bMod' | 'blockRows' | 'blocks' | 'splitDepth', string>
    >,
  constant: (i: number) => string,
): GpuText {
  const tile = gpuTile(spec.rows);
  return textOf(
    tile,
    `${productText(spec, p, constant)}
fn run(task: u32, lane: u32) {
  let m0 = (i32(task) % ${p.blocks}) * ${tile.rows}i;
  let rest = i32(task) / ${p.blocks};
  let matrix = rest / ${p.ranges};
  let batch = matrix % ${p.batches};
  let kFirst = matrix / ${p.batches} * ${p.splitDepth};
  var part: Part;
  part.aStart = (batch / ${p.aDiv}) % ${p.aMod} * (${p.M} * ${p.K}) + m0 * ${p.aRow};
  let column = rest % ${p.ranges} * ${tile.rows}i;
  part.bStart = (batch / ${p.bDiv}) % ${p.bMod} * (${p.K} * ${p.N}) + column * ${storedB(spec.b).contiguous ? '1i' : p.K};
  part.bias = 0i;
  part.outRow = matrix * ${p.M} + m0;
  part.rows = min(${p.M} - m0, ${tile.rows}i);
  part.column = column;
  part.kFirst = kFirst;
  part.kLast = min(kFirst + ${p.splitDepth}, ${p.K});
  product(part, lane);
}
`,
  );
}

type GroupedNames = Names & Readonly<Record<'ends' | 'groups' | 'count' | 'blockRows', string>>;

/** Where a group ends is in memory: one invocation reads it, so that all know the same. */
const ends = (p: GroupedNames): string => `
var<workgroup> found: vec4<i32>;
fn endOf(group: i32, start: i32) -> i32 {
  return max(start, min(${p.count}, bitcast<i32>(arena[${p.ends} / 4u + u32(group)])));
}
`;

/** The text of `groupedKernel`. */
export function groupedText(spec: MultiplySpec, p: GroupedNames, constant: (i: number) => string): GpuText {
  const tile = gpuTile(spec.rows);
  const zero = (pointer: string): string =>
    `put(${pointer} / 4u + u32(row * ${p.N} + c), vec4<f32>(0.0), min(4i, ${p.N} - c));`;
  return textOf(
    tile,
    `${productText(spec, p, constant)}
${ends(p)}
fn blockOf(index: i32) -> vec4<i32> {
  var left = index;
  var start = 0i;
  for (var own = 0i; own <= ${p.groups}; own++) {
    var end = ${p.count};
    if (own < ${p.groups}) { end = endOf(own, start); }
    let blocks = (end - start + ${tile.rows - 1}i) / ${tile.rows}i;
    if (left < blocks) {
      let first = start + left * ${tile.rows}i;
      return vec4<i32>(own, first, min(end - first, ${tile.rows}i), 0i);
    }
    left -= blocks;
    start = end;
  }
  return vec4<i32>(0i);
}

fn run(task: u32, lane: u32) {
  if (lane == 0u) { found = blockOf(i32(task) / ${p.ranges}); }
  let block = workgroupUniformLoad(&found);
  let column = i32(task) % ${p.ranges} * ${tile.rows}i;
  if (block.z == 0i) { return; }
  if (block.x < ${p.groups}) {
    var part: Part;
    part.aStart = block.y * ${p.aRow};
    part.bStart = block.x * (${p.K} * ${p.N}) + column * ${storedB(spec.b).contiguous ? '1i' : p.K};
    part.bias = block.x * ${p.N};
    part.outRow = block.y;
    part.rows = block.z;
    part.column = column;
    part.kFirst = 0i;
    part.kLast = ${p.K};
    product(part, lane);
    return;
  }
  for (var i = lane; i < ${tile.rows * tile.quads}u; i += ${tile.invocations}u) {
    let row = block.y + i32(i / ${tile.quads}u);
    let c = column + 4i * i32(i % ${tile.quads}u);
    if (row < block.y + block.z) {
      ${zero(p.out)}
      ${spec.epilogue.keep ? zero(p.kept) : ''}
    }
  }
}
`,
  );
}

/** The text of `groupedInnerKernel`. */
export function groupedInnerText(
  spec: MultiplySpec,
  p: GroupedNames & Readonly<Record<'M' | 'blocks', string>>,
): GpuText {
  const tile = gpuTile(spec.rows);
  return textOf(
    tile,
    `${productText(spec, p, () => '')}
${ends(p)}
fn run(task: u32, lane: u32) {
  let rest = i32(task) / ${p.ranges};
  let m0 = (rest % ${p.blocks}) * ${tile.rows}i;
  let group = rest / ${p.blocks};
  if (lane == 0u) {
    var start = 0i;
    for (var own = 0i; own < group; own++) { start = endOf(own, start); }
    found = vec4<i32>(start, endOf(group, start), 0i, 0i);
  }
  let range = workgroupUniformLoad(&found);
  var part: Part;
  part.aStart = m0 * ${p.aRow};
  part.column = i32(task) % ${p.ranges} * ${tile.rows}i;
  part.bStart = part.column;
  part.bias = 0i;
  part.outRow = group * ${p.M} + m0;
  part.rows = min(${p.M} - m0, ${tile.rows}i);
  part.kFirst = range.x;
  part.kLast = range.y;
  product(part, lane);
}
`,
  );
}
