import type { GpuTarget, GpuText } from '../../../codegen/gpu.js';
import { each } from '../../gpu/stage.js';
import type { Wgsl } from '../../typed-kernel.js';
import type { AttendSpec } from '../spec.js';
import { allFull, attendCut, gpuKeyTile, slabColumns, type AttendCut } from './cut.js';
import { isCareful } from './expressions.js';
import { queryPlace, queryTask, rowsAt, visits } from './forward.js';
import { quad } from './softmax.js';
import { GpuTileText } from './tile.js';
import {
  commonText,
  iota,
  ownStatistics,
  queryRows,
  storeSums,
  weighKeys,
  weighRows,
  type BackwardNames,
} from './weigh.js';

// Without atomic sums of floats, each row of a gradient has one owner: a workgroup owns queries and meets their keys for dq, or owns keys
// and meets their queries for dk and dv. Both form scores and dP = dO·Vᵀ anew, seven products where one owner would need five.

type PassNames = BackwardNames & Wgsl<{ adds: 'i32' }>;
export type QueriesNames = PassNames & Wgsl<{ dq: 'pointer' }>;
export type KeysNames = PassNames &
  Wgsl<{ dk: 'pointer'; dv: 'pointer'; columnOffsets: 'pointer'; columnRuns: 'pointer' }>;

const slab = (D: number): number => Math.min(D, slabColumns);
const slabs = (D: number): number => Math.ceil(D / slabColumns);

export const queriesCut = (target: GpuTarget, { D, E, queryTile }: AttendSpec): AttendCut =>
  attendCut(target, { tile: queryTile, products: [D, E], sums: [slab(D)], mayStay: false });

/** dq: a task is a tile of queries, for as many workgroups as it has cuts and slabs of columns. */
export function queriesText(target: GpuTarget, spec: AttendSpec, p: QueriesNames): GpuText {
  const { D, period, queryTile } = spec;
  const cut = queriesCut(target, spec);
  const t = new GpuTileText(cut);
  const columns = slab(D);
  const { k } = queryRows(spec, p);
  const wgsl = `
${commonText(t, spec, p, 'keys')}
fn run(part: u32, lane: u32) {
  ${t.place}
  let first = part % ${slabs(D)}u * ${columns}u;
  let task = part / ${slabs(D)}u;
  ${queryTask(spec, p, cut.own)}
  ${queryPlace(spec, p, cut.own)}
  let bounds = uniformWords(lane, ${p.rowOffsets} + 4u * u32(row), 2u);
  bind();
  ${ownStatistics(spec, p)}
  ${t.declare('o', columns)}
  ${visits(
    spec,
    p,
    cut.other,
    `
      ${weighKeys(t, spec, p)}
      ${t.share((j) => quad('t', j))}
      workgroupBarrier();
      ${t.accumulate('o', k, columns, { careful: isCareful(spec, 'partial'), first: 'first', total: D })}`,
  )}
  ${storeSums(t, {
    o: 'o',
    rows: rowsAt(p.dq, { head: 'head', length: p.L, columns: D, period, first: 'q0' }),
    columns,
    total: D,
    first: 'first',
    factor: ` * ${p.scale}`,
    exists: (r) => `q0 + 4i * i32(to) + ${r}i < L`,
    adds: p.adds,
  })}
}
`;
  return { wgsl, workgroupSize: cut.invocations, tasks: (tasks) => tasks * (queryTile / cut.own) * slabs(D) };
}

export const keysCut = (target: GpuTarget, spec: AttendSpec): AttendCut =>
  attendCut(target, {
    tile: gpuKeyTile(spec),
    products: [spec.D, spec.E],
    sums: [slab(spec.D), slab(spec.E)],
    mayStay: false,
  });

/** dk and dv: a task is a tile of keys of one key/value head, which meets the queries of all heads that read it. */
export function keysText(target: GpuTarget, spec: AttendSpec, p: KeysNames): GpuText {
  const { D, E, period, queryTile, keyBlock, dropout } = spec;
  const cut = keysCut(target, spec);
  const { own, other } = cut;
  const t = new GpuTileText(cut);
  const tile = gpuKeyTile(spec);
  const [columns, valueColumns] = [slab(D), slab(E)];
  // a workgroup has a slab of both
  const cuts = Math.max(slabs(D), slabs(E));
  const keys = (pointer: string, width: number) => ({
    ...rowsAt(pointer, { head: 'kvHead', length: p.S, columns: width, period, first: 'k0' }),
    valid: '(S - k0)',
  });
  const queries = (pointer: string, width: number) => ({
    ...rowsAt(pointer, { head: 'head', length: p.L, columns: width, period, first: 'q0' }),
    valid: 'count',
  });
  const [q, dout] = [queries(p.q, D), queries(p.dout, E)];
  const careful = isCareful(spec, 'partial', true);
  const step = `
        ${t.product('s', keys(p.k, D), { ...q, factor: p.scale }, D)}
        ${t.product('t', keys(p.v, E), dout, E)}
        let queries = q0 + 4i * i32(tt) + ${iota};
        let inside = (queries - q0 < vec4<i32>(count)) & vec4<bool>(kind != 0u);
        let positions = min(queries, vec4<i32>(L - 1i)) + (S - L);
        var base = vec4<f32>(0.0);
        var delta = vec4<f32>(0.0);
        ${each(
          4,
          (j) => `if (inside[${j}]) {
          let at = u32(head * ${p.L} + residue + queries[${j}] * ${period}i);
          base[${j}] = logsumexpAt(at);
          delta[${j}] = deltaAt(at);
        }`,
        )}
        ${dropout ? `let keep = kept(queries, k0 + 4i * i32(to), head, residue);` : ''}
        ${weighRows(spec, 'queries', {
          own: (r) => `k0 + 4i * i32(to) + ${r}i`,
          others: 'positions',
          base: () => 'base',
          delta: () => 'delta',
          keep: (r) => `keep[${r}]`,
          inside: () => 'inside',
          partial: () => 'kind == 1u',
        })}
        ${t.share((j) => quad('s', j))}
        workgroupBarrier();
        ${t.accumulate('dv', dout, valueColumns, { careful, first: 'firstValue', total: E })}
        ${t.share((j) => quad('t', j))}
        workgroupBarrier();
        ${t.accumulate('dk', q, columns, { careful, first: 'first', total: D })}`;
  const wgsl = `
${commonText(t, spec, p, 'queries')}
fn run(task: u32, lane: u32) {
  ${t.place}
  let first = task % ${cuts}u * ${columns}u;
  let firstValue = task % ${cuts}u * ${valueColumns}u;
  let part = i32(task / ${cuts}u) % ${tile / own}i;
  let whole = i32(task / ${cuts}u) / ${tile / own}i;
  let columns = (${p.S} + ${tile * period - 1}i) / ${tile * period}i;
  let column = whole % columns;
  let line = whole / columns;
  let residue = line % ${period}i;
  let kvHead = line / ${period}i;
  let b = kvHead / ${p.G};
  let group = ${p.H} / ${p.G};
  let L = (${p.L} - residue + ${period - 1}i) / ${period}i;
  let S = (${p.S} - residue + ${period - 1}i) / ${period}i;
  let k0 = column * ${tile}i + part * ${own}i;
  if (k0 >= S) { return; }
  bind();
  // of a quad's own block of keys
  let block = 2u * ((u32(part) * ${own}u + 4u * to) / ${Math.min(keyBlock, tile)}u);
  ${t.declare('dk', columns)}
  ${t.declare('dv', valueColumns)}
  for (var member = 0i; member < group; member++) {
    let h = kvHead % ${p.G} * group + member;
    let head = b * ${p.H} + h;
    let row = (b * ${p.classPerBatch} + h * ${p.classPerHead}) * columns + column;
    let bounds = uniformWords(lane, ${p.columnOffsets} + 4u * u32(row), 2u);
    for (var r = bounds.x; r < bounds.y; r++) {
      let run = uniformWords(lane, ${p.columnRuns} + 12u * r, 3u);
      let end = min(i32(run.y) * ${queryTile}i, L);
      let kind = (run.z >> block) & 3u;
      let partial = run.z != ${allFull(spec)}u;
      for (var q0 = i32(run.x) * ${queryTile}i; q0 < end; q0 += ${other}i) {
        let count = min(end - q0, ${other}i);
        ${step}
      }
    }
  }
  ${storeSums(t, { o: 'dk', rows: keys(p.dk, D), columns, total: D, first: 'first', factor: ` * ${p.scale}`, exists: (r) => `k0 + 4i * i32(to) + ${r}i < S`, adds: p.adds })}
  ${storeSums(t, { o: 'dv', rows: keys(p.dv, E), columns: valueColumns, total: E, first: 'firstValue', factor: '', exists: (r) => `k0 + 4i * i32(to) + ${r}i < S`, adds: p.adds })}
}
`;
  return { wgsl, workgroupSize: cut.invocations, tasks: (tasks) => tasks * (tile / own) * cuts };
}
