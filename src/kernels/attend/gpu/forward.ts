import type { GpuTarget, GpuText } from '../../../codegen/gpu.js';
import type { Wgsl } from '../../typed-kernel.js';
import { each, loaders } from '../../gpu/stage.js';
import type { AttendSpec } from '../spec.js';
import { attendCut, type AttendCut } from './cut.js';
import { dropoutText, expressionsText, isCareful, mathText, type SharedNames } from './expressions.js';
import { changeRow, noKeys, quad, totals, weighStep } from './softmax.js';
import { GpuTileText } from './tile.js';

type Names = SharedNames & Wgsl<{ out: 'pointer'; opens: 'pointer'; keyRows: 'i32' }>;

export const forwardCut = (target: GpuTarget, { D, E, queryTile }: AttendSpec): AttendCut =>
  attendCut(target, { tile: queryTile, products: [D], sums: [E], mayStay: true });

/** Words of memory that all invocations must know alike: one of them reads. */
export const uniformWords = `
var<workgroup> known: vec4<u32>;
fn uniformWords(lane: u32, at: u32, count: u32) -> vec4<u32> {
  if (lane == 0u) {
    var words = vec4<u32>(0u);
    for (var i = 0u; i < count; i++) { words[i] = arena[at / 4u + i]; }
    known = words;
  }
  return workgroupUniformLoad(&known);
}
`;

const tilesOf = ({ queryTile, period }: AttendSpec, p: SharedNames): string =>
  `let tiles = (${p.L} + ${queryTile * period - 1}i) / ${queryTile * period}i;`;

/** Which tile of queries a task has: `tiles`, `tile`, `line` of all heads and residues, and the `cutting` of the tile. */
export const queryTask = (spec: AttendSpec, p: SharedNames, own: number): string => `
  ${tilesOf(spec, p)}
  let cutting = i32(task) % ${spec.queryTile / own}i;
  let whole = i32(task) / ${spec.queryTile / own}i;
  // the last tiles first: under a causal mask they are the longest
  let tile = tiles - 1i - whole % tiles;
  let line = whole / tiles;`;

/** What follows from these: heads, lengths within the residue class, the first query `q0`, the `row` of the tile map. `leave` where there is none. */
export const queryPlace = (
  { queryTile, period }: AttendSpec,
  p: SharedNames,
  own: number,
  leave = 'return',
): string => `
  let residue = line % ${period}i;
  let head = line / ${period}i;
  let b = head / ${p.H};
  let h = head % ${p.H};
  let kvHead = b * ${p.G} + h / (${p.H} / ${p.G});
  let L = (${p.L} - residue + ${period - 1}i) / ${period}i;
  let S = (${p.S} - residue + ${period - 1}i) / ${period}i;
  let q0 = tile * ${queryTile}i + cutting * ${own}i;
  let row = (b * ${p.classPerBatch} + h * ${p.classPerHead}) * tiles + tile;
  if (q0 >= L) { ${leave}; }`;

/** Rows of a head of a tensor, in the residue class, from `first` on. */
export const rowsAt = (
  pointer: string,
  {
    head,
    length,
    columns,
    period,
    first,
  }: { head: string; length: string; columns: number; period: number; first: string },
): { readonly start: string; readonly pitch: string } => ({
  start: `(${pointer} / 4u + u32(${head} * ${length} + residue + (${first}) * ${period}i) * ${columns}u)`,
  pitch: `${columns * period}u`,
});

/** The loops over what a row of the tile map visits; `body` finds `k0`, `count` and `partial`. */
export const visits = (spec: AttendSpec, p: SharedNames, other: number, body: string): string => `
  for (var r = bounds.x; r < bounds.y; r++) {
    let run = uniformWords(lane, ${p.runs} + 12u * r, 3u);
    let end = min(i32(run.y) * ${spec.keyBlock}i, S);
    let partial = run.z == 1u;
    for (var k0 = i32(run.x) * ${spec.keyBlock}i; k0 < end; k0 += ${other}i) {
      let count = min(end - k0, ${other}i);
      ${body}
    }
  }`;

/** The text of `attendForward`: its tasks are those of the CPU, each for as many workgroups as it has cuts. */
export function forwardText(target: GpuTarget, spec: AttendSpec, p: Names): GpuText {
  const { D, E, period, queryTile } = spec;
  const cut = forwardCut(target, spec);
  const { own, other, otherQuads } = cut;
  const t = new GpuTileText(cut);
  const rows = (pointer: string, columns: number) =>
    rowsAt(pointer, { head: 'head', length: p.L, columns, period, first: 'q0' });
  const keys = (pointer: string, columns: number) => ({
    ...rowsAt(pointer, { head: 'kvHead', length: p.keyRows, columns, period, first: 'k0' }),
    valid: 'count',
  });
  const queries = { ...rows(p.q, D), valid: '(L - q0)', factor: p.scale };
  const sums = t.sumsOf(E);
  const eachRow = (line: (r: number, row: string) => string): string =>
    each(4, (r) => line(r, `(q0 + 4i * i32(to) + ${r}i)`));
  const element = (i: number, r: number): string =>
    `${rows(p.out, E).start} + (4u * to + ${r}u) * ${E * period}u + tt + ${i * otherQuads}u`;
  const statistic = (r: number): string => `${rows(p.logsumexp, 1).start} + (4u * to + ${r}u) * ${period}u`;
  const exists = (i: number): string => ((i + 1) * otherQuads <= E ? '' : `if (tt + ${i * otherQuads}u < ${E}u) `);
  const step = `
      ${t.product('s', cut.resident ? undefined : queries, keys(p.k, D), D)}
      let k = k0 + 4i * i32(tt) + vec4<i32>(0, 1, 2, 3);
      let inside = k - k0 < vec4<i32>(count);
      ${eachRow((r, at) => changeRow(spec, `s${r}`, { q: `min(${at}, L - 1i) + S - L`, k: 'k', inside: 'inside' }))}
      ${weighStep(t, E)}
      ${spec.dropout ? `let keep = kept(q0 + 4i * i32(to) + vec4<i32>(0, 1, 2, 3), k0 + 4i * i32(tt), head, residue);` : ''}
      ${t.share((j) => (spec.dropout ? `${quad('s', j)} * keep[${j}]` : quad('s', j)))}
      workgroupBarrier();
      ${t.accumulate('o', keys(p.v, E), E, { careful: isCareful(spec, 'partial') })}`;
  const wgsl = `
${loaders(['f32'])}
${t.memory}
${uniformWords}
${mathText()}
${expressionsText(spec, p, 'keys')}
${dropoutText(spec, p)}
fn run(task: u32, lane: u32) {
  ${t.place}
  ${queryTask(spec, p, own)}
  ${queryPlace(spec, p, own)}
  let bounds = uniformWords(lane, ${p.rowOffsets} + 4u * u32(row), 2u);
  let opens = uniformWords(lane, ${p.opens} + 4u * u32(head), 1u).x != 0u;
  if (bounds.x >= bounds.y && !opens) { return; }
  bind();
  ${cut.resident ? t.stay(queries, D) : ''}
  ${noKeys}
  ${t.declare('o', E)}
  if (!opens) {
    ${eachRow(
      (r, at) => `if (${at} < L) {
      ${each(sums, (i) => `${exists(i)}{ o${i}[${r}] = load_f32(${element(i, r)}); }`)}
      let before = arena[${statistic(r)}];
      if (before != 0xff800000u) {
        top[${r}] = bitcast<f32>(before);
        if (tt == 0u) { sum[${r}] = 1.0; }
      }
    }`,
    )}
  }
  ${visits(spec, p, other, step)}
  ${totals(t)}
  let inverse = select(vec4<f32>(1.0) / total, vec4<f32>(0.0), none);
  ${each(sums, (i) => `o${i} *= inverse;`)}
  let statistics = select(bitcast<vec4<u32>>(top + logOf(total)), vec4<u32>(0xff800000u), none);
  ${eachRow(
    (r, at) => `if (${at} < L) {
    ${each(sums, (i) => `${exists(i)}{ arena[${element(i, r)}] = bitcast<u32>(o${i}[${r}]); }`)}
    if (tt == 0u) { arena[${statistic(r)}] = statistics[${r}]; }
  }`,
  )}
}
`;
  return { wgsl, workgroupSize: cut.invocations, tasks: (tasks) => tasks * (queryTile / own) };
}
