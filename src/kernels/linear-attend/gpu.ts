import type { GpuTarget, GpuText } from '../../codegen/gpu.js';
import { wgslFunction } from '../../codegen/render/wgsl-function.js';
import { exp } from '../../codegen/math.js';
import { attendCut } from '../attend/gpu/cut.js';
import { uniformWords } from '../attend/gpu/forward.js';
import { quad } from '../attend/gpu/softmax.js';
import { GpuTileText, type GpuRows } from '../attend/gpu/tile.js';
import { each, loaders, stage } from '../gpu/stage.js';
import type { Wgsl } from '../typed-kernel.js';
import { smallestDivisor } from './rows.js';
import { segmentPitch, stateElements, type LinearSpec, type names } from './spec.js';

type Names = Wgsl<typeof names>;

/** Columns of values that invocations keep sums of. */
const mostColumns = 512;
/** Positions of a chunk whose decays lie in workgroup memory. */
const mostDecays = 512;

// The same sweep as on a processor. An extra feature is one more column of rows and keys; the sums of keys that normalise are one more
// column of values, which is 1. So a state is `[features, columns]`, and everything is a product of tiles. An invocation owns the elements
// of the state that it adds to, and barriers part adding from reading.

/** The text of `linearKernel`: a workgroup sweeps over a segment of a head. */
export function linearText(target: GpuTarget, spec: LinearSpec, p: Names): GpuText | undefined {
  if (spec.extra && spec.normalise) throw new Error('linear attend: no text has an extra feature and divisors');
  const { M, E, chunk, pass, causal, reverse, normalise, extra, decay } = spec;
  const features = M + (extra ? 1 : 0);
  const columns = E + (normalise ? 1 : 0);
  const shapes = [
    [32, 32],
    [16, 64],
    [16, 32],
  ] as const;
  // sums of more columns stay in no registers
  if (columns > mostColumns || (decay && chunk > mostDecays)) return undefined;
  const workgroupBytes = target.workgroupBytes - (decay ? 16 * Math.ceil(chunk / 4) : 0);
  const cut = attendCut(
    { ...target, workgroupBytes },
    { shapes, tile: 32, products: [features], sums: [columns], mayStay: false },
  );
  const { own, other, ownQuads, otherQuads, invocations, weights, staged } = cut;
  const t = new GpuTileText(cut);
  const pitch = segmentPitch(spec, target.width);
  const decayPlace = stateElements(spec, target.width);
  const barrier = 'storageBarrier();\n  workgroupBarrier();';

  const feature = (of: 'row' | 'key', row: string, column: string): string => {
    const [base, place] = of === 'row' ? ['qAt', `u32(row + ${row})`] : ['kAt', `u32(key + ${row})`];
    const plain = `load_f32(${base} + ${place} * ${M}u + ${column})`;
    if (!extra) return plain;
    return `select(${plain}, ${extra === of ? `load_f32(extraAt + ${place})` : '1.0'}, ${column} == ${M}u)`;
  };
  const valueColumn = (row: string, column: string): string => {
    const plain = `load_f32(vAt + u32(key + ${row}) * ${E}u + ${column})`;
    return normalise ? `select(${plain}, 1.0, ${column} == ${E}u)` : plain;
  };
  const rowsOf = (first: string, count: string, value: (row: string, column: string) => string): GpuRows => ({
    start: '0u',
    pitch: '0u',
    valid: `(${count} - ${first})`,
    value: (row, column) => value(`(${first} + i32(${row}))`, column),
  });
  const queries = rowsOf('r0', 'rowCount', (row, column) => feature('row', row, column));
  const keys = rowsOf('firstKey', 'keyCount', (row, column) => feature('key', row, column));
  const values = rowsOf('firstKey', 'keyCount', valueColumn);
  const state = { start: `(stateAt + u32(m0) * ${columns}u)`, pitch: `${columns}u`, valid: `(${features}i - m0)` };
  const asWeights = (along: 'steps' | 'rows', value: (row: string, step: string) => string): string =>
    stage({ to: `${weights}u`, quads: ownQuads, pitch: ownQuads + 1, steps: other, along, value, invocations });
  const factor = (of: 'row' | 'key', place: string): string =>
    (of === 'row') === reverse
      ? `expOf(vec4<f32>(decays[${chunk - 1}] - decays[${place}])).x`
      : `expOf(vec4<f32>(decays[${place}])).x`;
  const perRow = (f: (row: string) => string): string =>
    `vec4<f32>(${[0, 1, 2, 3].map((r) => f(`min(r0 + 4i * i32(to) + ${r}i, ${chunk - 1}i)`)).join(', ')})`;

  const head = (index: string): string => `
  let index = ${index};
  let sharedHead = index / ${p.group};
  let rowHead = ${reverse ? 'sharedHead' : 'index'};
  let keyHead = ${reverse ? 'index' : 'sharedHead'};
  let qAt = ${p.q} / 4u + u32(rowHead * ${p.rows}) * ${M}u;
  let kAt = ${p.k} / 4u + u32(keyHead * ${p.keys}) * ${M}u;
  let vAt = ${p.v} / 4u + u32(keyHead * ${p.keys}) * ${E}u;
  let outAt = ${p.out} / 4u + u32(rowHead * ${p.rows}) * ${E}u;
  let normAt = ${p.norm} / 4u + u32(rowHead * ${p.rows});
  let extraAt = ${p.extra} / 4u + u32(${extra === 'row' ? `rowHead * ${p.rows}` : `keyHead * ${p.keys}`});
  let decayAt = ${p.decay} / 4u + u32(index * ${p.S});
  let length = i32(uniformWords(lane, ${p.lengths} + 4u * u32(index / ${p.H}), 1u).x);`;

  // see chunkOf
  const within = (count: string, exist: string): string => `placeIn(start, end, longer - ${count}, ${exist})`;
  const chunks = (body: string): string => `
  for (var order = segment * ${p.perSegment}; order < min((segment + 1i) * ${p.perSegment}, ${p.chunks}); order++) {
    let longer = max(${p.rows}, ${p.keys});
    let shorter = longer - min(${p.rows}, ${p.keys});
    let number = ${reverse ? `${p.chunks} - 1i - order` : 'order'};
    let leads = number < ${p.leading};
    let start = select(shorter + (number - ${p.leading}) * ${chunk}i, number * ${chunk}i, leads);
    let end = min(start + ${chunk}i, select(longer, shorter, leads));
    let ofRows = ${within(p.rows, reverse ? 'length' : p.rows)};
    let ofKeys = ${within(p.keys, reverse ? p.keys : 'length')};
    let row = ofRows.x;
    let rowCount = ofRows.y;
    let rowTotal = ${within(p.rows, p.rows)}.y;
    let key = ofKeys.x;
    let keyCount = ofKeys.y;
    ${
      decay
        ? `if (lane == 0u) {
      var sum = 0.0;
      for (var i = 0i; i < ${chunk}i; i++) {
        if (i < ${reverse ? 'rowCount' : 'keyCount'}) { sum += load_f32(decayAt + u32(${reverse ? 'row' : 'key'} + i)); }
        decays[i] = sum;
      }
    }
    workgroupBarrier();
    let total = expOf(vec4<f32>(decays[${chunk - 1}])).x;`
        : ''
    }
    ${body}
    ${barrier}
  }`;

  const update = `
    for (var m0 = 0i; m0 < ${features}i; m0 += ${own}i) {
      ${t.declare('u', columns)}
      for (var firstKey = 0i; firstKey < keyCount; firstKey += ${other}i) {
        ${asWeights('rows', (m, c) => {
          const place = `(firstKey + i32(${c}))`;
          const taken = feature('key', place, `min(u32(m0) + ${m}, ${features - 1}u)`);
          const weighed = decay ? `${taken} * ${factor('key', `min(${place}, ${chunk - 1}i)`)}` : taken;
          return `select(0.0, ${weighed}, ${place} < keyCount && m0 + i32(${m}) < ${features}i)`;
        })}
        workgroupBarrier();
        ${t.accumulate('u', values, columns)}
      }
      ${each(
        4,
        (r) => `if (m0 + 4i * i32(to) + ${r}i < ${features}i) {
        ${each(
          t.sumsOf(columns),
          (i) => `if (tt + ${i * otherQuads}u < ${columns}u) {
          let at = stateAt + (u32(m0) + 4u * to + ${r}u) * ${columns}u + tt + ${i * otherQuads}u;
          arena[at] = bitcast<u32>(${decay ? `fma(load_f32(at), total, u${i}[${r}])` : `load_f32(at) + u${i}[${r}]`});
        }`,
        )}
      }`,
      )}
    }`;

  const [lastSum, lastLane] = [Math.floor(E / otherQuads), E % otherQuads];
  const rows = (adds: string | undefined): string => `
    for (var r0 = 0i; r0 < rowCount; r0 += ${own}i) {
      ${t.declare('o', columns)}
      for (var m0 = 0i; m0 < ${features}i; m0 += ${other}i) {
        ${asWeights('steps', (r, m) => {
          const taken = feature('row', `(r0 + i32(${r}))`, `min(u32(m0) + ${m}, ${features - 1}u)`);
          return `select(0.0, ${taken}, r0 + i32(${r}) < rowCount && m0 + i32(${m}) < ${features}i)`;
        })}
        workgroupBarrier();
        ${t.accumulate('o', state, columns)}
      }
      ${
        decay
          ? `let ofState = ${perRow((row) => factor('row', row))};
      ${each(t.sumsOf(columns), (i) => `o${i} *= ofState;`)}`
          : ''
      }
      ${causal ? ownChunk : ''}
      ${
        normalise
          ? `if (tt == ${lastLane}u) { memory[${staged}u + to] = o${lastSum}; }
      workgroupBarrier();
      let divisor = memory[${staged}u + to] + vec4<f32>(${p.eps});
      workgroupBarrier();
      let tiny = abs(divisor) < vec4<f32>(${smallestDivisor}f);
      let inverse = select(vec4<f32>(1.0) / divisor, vec4<f32>(0.0), tiny);
      ${each(t.sumsOf(columns), (i) => `o${i} *= inverse;`)}
      let norm = select(divisor, vec4<f32>(0.0), tiny);`
          : ''
      }
      ${each(
        4,
        (r) => `if (r0 + 4i * i32(to) + ${r}i < rowCount) {
        let place = u32(row + r0) + 4u * to + ${r}u;
        ${normalise ? `if (tt == 0u) { arena[normAt + place] = bitcast<u32>(norm[${r}]); }` : ''}
        ${each(
          t.sumsOf(E),
          (i) => `if (tt + ${i * otherQuads}u < ${E}u) {
          let at = outAt + place * ${E}u + tt + ${i * otherQuads}u;
          var value = o${i}[${r}];
          ${adds ? `if (${adds}) { value += load_f32(at); }` : ''}
          arena[at] = bitcast<u32>(value);
        }`,
        )}
      }`,
      )}
    }`;

  // rows see keys of their own chunk up to their own place, or from it on
  const ownChunk = `
      for (var firstKey = ${reverse ? `r0 / ${other}i * ${other}i` : '0i'}; firstKey < ${reverse ? 'keyCount' : `min(keyCount, r0 + ${own}i)`}; firstKey += ${other}i) {
        ${t.product('s', queries, keys, features)}
        let place = firstKey + 4i * i32(tt) + vec4<i32>(0, 1, 2, 3);
        ${each(4, (r) => {
          const here = `(r0 + 4i * i32(to) + ${r}i)`;
          const between = `vec4<f32>(${[0, 1, 2, 3].map((j) => `decays[min(place[${j}], ${chunk - 1}i)]`).join(', ')}) - vec4<f32>(decays[min(${here}, ${chunk - 1}i)])`;
          const sign = reverse ? '' : '-';
          return `{
          let seen = (place < vec4<i32>(keyCount)) & (place ${reverse ? '>=' : '<='} vec4<i32>(${here}));
          s${r} = select(vec4<f32>(0.0), s${r}${decay ? ` * expOf(${sign}(${between}))` : ''}, seen);
        }`;
        })}
        ${t.share((j) => quad('s', j))}
        workgroupBarrier();
        ${t.accumulate('o', values, columns, { careful: 'always' })}
      }`;

  const eachElement = (body: string): string => `
  for (var i = lane; i < ${features * columns}u; i += ${invocations}u) {
    let outside = u32(index * ${p.stateSize} + i32(i / ${columns}u) * ${p.stateRow} + i32(i % ${columns}u) * ${p.stateColumn});
    ${body}
  }`;
  const fromInitial = eachElement(`
    var value = 0u;
    if (${p.hasInitial} != 0i) { value = arena[${p.initial} / 4u + outside]; }
    arena[stateAt + i] = value;`);
  const segmentAt = (number: string): string =>
    `(${p.segmentStates} / 4u + u32(index * ${p.kept} + ${number}) * ${pitch}u)`;

  const sum = `
  let segment = i32(task) % ${p.kept};
  ${head(`i32(task) / ${p.kept}`)}
  let stateAt = ${segmentAt('segment')};
  if (segment == 0i) { ${fromInitial}
  } else { ${eachElement('arena[stateAt + i] = 0u;')}
  }
  ${barrier}
  var decayed = 1.0;
  ${chunks(`${decay ? 'decayed *= total;' : ''}\n${update}`)}
  if (lane == 0u) { arena[stateAt + ${decayPlace}u] = bitcast<u32>(decayed); }`;

  const sweep = `
  let segment = i32(task) % ${p.segments};
  let outHead = i32(task) / ${p.segments};
  for (var member = 0i; member < ${reverse ? p.group : '1i'}; member++) {
    ${head(reverse ? `outHead * ${p.group} + member` : 'outHead')}
    ${
      causal
        ? `let stateAt = scratch / 4u;
    if (segment == 0i) { ${fromInitial}
    } else { ${eachElement(`arena[stateAt + i] = arena[${segmentAt('segment - 1i')} + i];`)}
    }
    ${barrier}`
        : `let stateAt = ${segmentAt(`${p.kept} - 1i`)};`
    }
    ${chunks(`${rows(reverse ? 'member > 0i' : undefined)}
    ${
      reverse
        ? `for (var i = i32(lane); i < (rowTotal - rowCount) * ${E}i; i += ${invocations}i) {
      arena[outAt + u32((row + rowCount) * ${E}i + i)] = 0u;
    }`
        : ''
    }
    ${causal ? `${barrier}\n${update}` : ''}`)}
    if (segment == ${causal ? `${p.segments} - 1i` : '0i'} && ${p.hasFinal} != 0i) {
      ${eachElement(`arena[${p.final} / 4u + outside] = arena[stateAt + i];`)}
    }
    ${barrier}
  }`;

  const wgsl = `
${loaders(['f32'])}
${t.memory}
${uniformWords}
${wgslFunction('expOf', { x: 'vf' }, (k, [x]) => exp(k, x as never))}
${decay ? `var<workgroup> decays: array<f32, ${chunk}>;` : ''}
fn placeIn(start: i32, end: i32, begin: i32, exist: i32) -> vec2<i32> {
  let first = start - begin;
  if (first < 0i) { return vec2<i32>(0i); }
  return vec2<i32>(first, min(end - start, max(exist - first, 0i)));
}
fn run(task: u32, lane: u32) {
  ${t.place}
  ${pass === 'sum' ? sum : sweep}
}
`;
  return { wgsl, workgroupSize: invocations };
}
