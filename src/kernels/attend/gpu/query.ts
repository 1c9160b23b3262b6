import type { GpuTarget, GpuText } from '../../../codegen/gpu.js';
import { freeVariables } from '../../../codegen/expression/index.js';
import { bytesPerElement, type FloatDtype } from '../../../core/dtype.js';
import { each, loaders } from '../../gpu/stage.js';
import { partFloats, queryChunk, roundUp, type QuerySpec } from '../query-spec.js';
import { attendCut, type AttendCut } from './cut.js';
import { expressionsText, isCareful, mathText } from './expressions.js';
import { uniformWords } from './forward.js';
import { changeRow, noKeys, quad, totals, weighStep } from './softmax.js';
import { GpuTileText } from './tile.js';

type Names = Readonly<
  Record<'q' | 'k' | 'v' | 'parts' | 'constants' | 'tables' | 'lengths' | 'G' | 'chunks' | 'keyRows' | 'scale', string>
>;

const queryCut = (target: GpuTarget, { attend: { D, E }, group }: QuerySpec): AttendCut =>
  attendCut(target, { shapes: shapesFor(group), tile: 0, products: [D], sums: [E], mayStay: true });

/** The heads of a group are rows; few of them leave room for more keys, so that a workgroup is not too small. */
const shapesFor = (group: number): readonly (readonly [number, number])[] =>
  group <= 4
    ? [
        [4, 128],
        [4, 64],
        [4, 32],
      ]
    : group <= 8
      ? [
          [8, 64],
          [8, 32],
        ]
      : [
          [16, 64],
          [16, 32],
        ];

/** The text of `attendQuery`: the forward pass, with the query of each head of a group as the rows. */
export function queryText(target: GpuTarget, spec: QuerySpec, p: Names): GpuText {
  const { attend, group } = spec;
  const { D, E, mask } = attend;
  const cut = queryCut(target, spec);
  const { own, other, otherQuads, invocations, staged } = cut;
  const t = new GpuTileText(cut);
  const cuttings = Math.ceil(group / own);
  const queries = {
    start: `(${p.q} / 4u + u32(kvHead * ${group}i + first) * ${D}u)`,
    pitch: `${D}u`,
    valid: `(${group}i - first)`,
    factor: p.scale,
  };
  const rows = (pointer: string, dtype: FloatDtype, columns: number) => ({
    start: `(${pointer} / ${bytesPerElement[dtype]}u + u32(kvHead * ${p.keyRows} + k0) * ${columns}u)`,
    pitch: `${columns}u`,
    valid: 'count',
    dtype,
  });
  // a mask of a window hides most of a long room: its keys are not read
  const skips = mask !== undefined && !freeVariables(mask).has('h');
  const look = `
    memory[${staged}u + lane].x = select(0.0, 1.0, any(inside & (maskOf(b, 0i, q, k) != vec4<i32>(0))));
    workgroupBarrier();
    if (lane == 0u) {
      known.x = 0u;
      for (var i = 0u; i < ${invocations}u; i++) { if (memory[${staged}u + i].x != 0.0) { known.x = 1u; } }
    }
    if (workgroupUniformLoad(&known).x == 0u) { continue; }`;
  const out = (r: number): string => `(part + (4u * to + ${r}u) * ${partFloats(E)}u)`;
  const statistics = roundUp(E, 16);
  const wgsl = `
${loaders(['f32', spec.k, spec.v])}
${t.memory}
${uniformWords}
${mathText()}
${expressionsText(attend, p, 'keys')}
fn run(number: u32, lane: u32) {
  ${t.place}
  let first = i32(number % ${cuttings}u) * ${own}i;
  let task = i32(number / ${cuttings}u);
  let kvHead = task / ${p.chunks};
  let b = kvHead / ${p.G};
  let length = i32(uniformWords(lane, ${p.lengths} + 4u * u32(b), 1u).x);
  let begin = task % ${p.chunks} * ${queryChunk}i;
  if (begin >= length) { return; }
  bind();
  let q = length - 1i;
  let partial = true;
  let head = kvHead % ${p.G} * ${group}i + first;
  ${cut.resident ? t.stay(queries, D) : ''}
  ${noKeys}
  ${t.declare('o', E)}
  let end = min(begin + ${queryChunk}i, length);
  for (var k0 = begin; k0 < end; k0 += ${other}i) {
    let count = min(end - k0, ${other}i);
    let k = k0 + 4i * i32(tt) + vec4<i32>(0, 1, 2, 3);
    let inside = k - k0 < vec4<i32>(count);
    ${skips ? look : ''}
    ${t.product('s', cut.resident ? undefined : queries, rows(p.k, spec.k, D), D)}
    ${each(4, (r) => changeRow(attend, `s${r}`, { h: `head + 4i * i32(to) + ${r}i`, q: 'length - 1i', k: 'k', inside: 'inside' }))}
    ${weighStep(t, E)}
    ${t.share((j) => quad('s', j))}
    workgroupBarrier();
    ${t.accumulate('o', rows(p.v, spec.v, E), E, { careful: isCareful(attend, 'partial') })}
  }
  ${totals(t)}
  let part = ${p.parts} / 4u + u32(task * ${group}i + first) * ${partFloats(E)}u;
  ${each(
    4,
    (r) => `if (first + 4i * i32(to) + ${r}i < ${group}i) {
    ${each(t.sumsOf(E), (i) => `if (tt + ${i * otherQuads}u < ${E}u) { arena[${out(r)} + tt + ${i * otherQuads}u] = bitcast<u32>(o${i}[${r}]); }`)}
    if (tt == 0u) {
      arena[${out(r)} + ${statistics}u] = select(bitcast<u32>(top[${r}]), 0xff800000u, none[${r}]);
      arena[${out(r)} + ${statistics + 1}u] = bitcast<u32>(total[${r}]);
    }
  }`,
  )}
}
`;
  return { wgsl, workgroupSize: invocations, tasks: (tasks) => tasks * cuttings };
}
