import type { TableGradient } from '../../../codegen/expression/index.js';
import type { GpuTarget, GpuText } from '../../../codegen/gpu.js';
import { each } from '../../gpu/stage.js';
import type { Wgsl } from '../../typed-kernel.js';
import type { AttendSpec } from '../spec.js';
import { attendCut, type AttendCut } from './cut.js';
import { gradientText } from './expressions.js';
import { queryPlace, visits } from './forward.js';
import { GpuTileText } from './tile.js';
import { commonText, ownStatistics, weighKeys, type BackwardNames } from './weigh.js';

type TableNames = BackwardNames & Wgsl<{ B: 'i32'; dtable: 'pointer'; stripes: 'i32'; copyPitch: 'i32' }>;

export const tableCut = (target: GpuTarget, { D, E, queryTile }: AttendSpec): AttendCut =>
  attendCut(target, { tile: queryTile, products: [D, E], sums: [], mayStay: false, pairs: true });

/**
 * The text of `attendTableGradient`: the pairs of a step lie in workgroup memory with the element they add to, and an invocation owns the
 * elements that its number is the rest of, so every element has one owner and one order.
 */
export function tableText(target: GpuTarget, spec: AttendSpec, gradient: TableGradient, p: TableNames): GpuText {
  const { queryTile, period } = spec;
  const cut = tableCut(target, spec);
  const { own, ownQuads, otherQuads, weights, staged, invocations } = cut;
  const t = new GpuTileText(cut);
  const table = spec.tables.indexOf(gradient.table);
  const outside = (place: string): string => (period === 1 ? place : `(${place} * ${period}i + residue)`);
  const at = `b, h, ${outside('q')}, ${outside('k')}, raw`;
  const pairs = (region: number, r: number): string => `memory[${region}u + (to * ${otherQuads}u + tt) * 4u + ${r}u]`;
  const noted = (r: number): string => `
    var inTable = seen;
    var place = vec4<i32>(0);
    ${each(
      gradient.indices.length,
      (d) => `{
      let index = index${d}(${at});
      let extent = vec4<i32>(table${table}_${d});
      inTable = inTable & (index >= vec4<i32>(0)) & (index < extent);
      place = place * extent + index;
    }`,
    )}
    ${pairs(weights, r)} = select(none, change * factorOf(${at}), seen);
    ${pairs(staged, r)} = bitcast<vec4<f32>>(select(vec4<i32>(-1), place, inTable));`;
  const quads = ownQuads * otherQuads * 4;
  const step = `
      ${weighKeys(t, spec, p, noted)}
      workgroupBarrier();
      for (var i = 0u; i < ${quads}u; i++) {
        let places = bitcast<vec4<i32>>(memory[${staged}u + i]);
        let values = memory[${weights}u + i];
        ${each(
          4,
          (c) => `if (places[${c}] >= 0i && u32(places[${c}]) % ${invocations}u == lane) {
          let element = dtable + u32(places[${c}]);
          arena[element] = bitcast<u32>(load_f32(element) + values[${c}]);
        }`,
        )}
      }
      workgroupBarrier();`;
  const wgsl = `
${commonText(t, spec, p, 'keys')}
${gradientText(spec, gradient)}
fn run(stripe: u32, lane: u32) {
  ${t.place}
  let dtable = ${p.dtable} / 4u + stripe * u32(${p.copyPitch});
  let tiles = (${p.L} + ${queryTile * period - 1}i) / ${queryTile * period}i;
  let lines = ${p.B} * ${p.H} * ${period}i;
  bind();
  // with a copy of its own, a stripe takes tiles of all heads; else all heads of its tiles
  let copies = ${p.copyPitch} != 0i;
  let units = select(tiles, tiles * lines, copies);
  let members = select(lines, 1i, copies);
  for (var unit = i32(stripe); unit < units; unit += ${p.stripes}) {
    for (var member = 0i; member < members; member++) {
      let tile = unit % tiles;
      let line = select(member, unit / tiles, copies);
      for (var cutting = 0i; cutting < ${queryTile / own}i; cutting++) {
        ${queryPlace(spec, p, own, 'continue')}
        let bounds = uniformWords(lane, ${p.rowOffsets} + 4u * u32(row), 2u);
        ${ownStatistics(spec, p)}
        ${visits(spec, p, cut.other, step)}
      }
    }
  }
}
`;
  return { wgsl, workgroupSize: invocations };
}
