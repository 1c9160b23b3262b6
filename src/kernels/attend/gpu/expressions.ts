import type { Kind } from '../../../codegen/program.js';
import {
  expressionFunction,
  mulHigh,
  wgslFunction,
  type WgslEnvironment,
} from '../../../codegen/render/wgsl-function.js';
import type { Expression, TableGradient } from '../../../codegen/expression/index.js';
import { expOfNegative, log } from '../../../codegen/math.js';
import type { I32, VI } from '../../../codegen/vector.js';
import { each } from '../../gpu/stage.js';
import type { Wgsl } from '../../typed-kernel.js';
import { philox } from '../../philox.js';
import { tableSlot, type AttendSpec, type shared } from '../spec.js';

export type SharedNames = Wgsl<typeof shared>;

/** Which positions are vectors of four: those of the side whose rows an invocation meets. */
export type Along = 'keys' | 'queries';

/** Where expressions of a spec find constants and tables: in variables that `bind` fills. */
const environmentOf = ({ constantTypes, tables, proven }: AttendSpec): WgslEnvironment => ({
  constants: constantTypes.map((kind, i) => ({ kind, text: `constant${i}` })),
  tables: tables.map((table, i) => ({
    table,
    pointer: `table${i}`,
    dimensions: table.shape.map((_, d) => `table${i}_${d}`),
  })),
  checked: (read) => !proven.has(read),
});

const positionAlong = (along: Along) =>
  ({ b: 'i32', h: 'i32', q: along === 'queries' ? 'vi' : 'i32', k: along === 'keys' ? 'vi' : 'i32' }) as const;

/** What a text finds of its spec: `bind()`, which reads constants and places of tables; `scoreOf`, `slopeOf`, `maskOf`. */
export function expressionsText(spec: AttendSpec, p: Pick<SharedNames, 'constants' | 'tables'>, along: Along): string {
  const { score, slope, mask, constantTypes, tables } = spec;
  const environment = environmentOf(spec);
  const position = positionAlong(along);
  const of = (name: string, e: Expression | undefined, variables: Record<string, Kind>): string =>
    e === undefined ? '' : expressionFunction(name, e, variables, environment);
  const word = (pointer: string, at: number): string => `arena[${pointer} / 4u + ${at}u]`;
  const slot = tableSlot / 4;
  return [
    ...constantTypes.map((type, i) => `var<private> constant${i}: ${type};`),
    ...tables.flatMap((table, i) => [
      `var<private> table${i}: u32;`,
      ...table.shape.map((_, d) => `var<private> table${i}_${d}: i32;`),
    ]),
    'fn bind() {',
    ...constantTypes.map((type, i) => `  constant${i} = bitcast<${type}>(${word(p.constants, i)});`),
    ...tables.flatMap((table, i) => [
      `  table${i} = ${word(p.tables, slot * i)};`,
      ...table.shape.map((_, d) => `  table${i}_${d} = bitcast<i32>(${word(p.tables, slot * i + 2 + d)});`),
    ]),
    '}',
    of('scoreOf', score, { ...position, score: 'vf' }),
    of('slopeOf', slope, { ...position, score: 'vf' }),
    of('maskOf', mask, position),
  ].join('\n');
}

/** Beside `expressionsText` along keys: `index0 …` and `factorOf` of a table's gradient. */
export function gradientText(spec: AttendSpec, { indices, factor }: TableGradient): string {
  const variables = { ...positionAlong('keys'), score: 'vf' } as const;
  const environment = environmentOf(spec);
  return [
    ...indices.map((index, d) => expressionFunction(`index${d}`, index, variables, environment)),
    expressionFunction('factorOf', factor, variables, environment),
  ].join('\n');
}

/** `expOfNegative` and `logOf`, of four lanes. */
export const mathText = (): string =>
  wgslFunction('expOfNegative', { x: 'vf' }, (k, [x]) => expOfNegative(k, x as never)) +
  wgslFunction('logOf', { x: 'vf' }, (k, [x]) => log(k, x as never));

/** `kept(query, key, head, …)`: what dropout multiplies the pairs of four queries with four keys by, a vector of queries for each key. */
export function dropoutText(spec: AttendSpec, p: SharedNames): string {
  if (!spec.dropout) return '';
  const words = wgslFunction(
    'draw',
    { query: 'vi', block: 'vi', head: 'vi' },
    (k, [query, block, head], [low, high]) =>
      philox(k, [query, block, head, k.constant('vi', 0)] as unknown as readonly [VI, VI, VI, VI], [
        low as I32,
        high as I32,
      ]),
    [
      { kind: 'i32', text: p.seedLow },
      { kind: 'i32', text: p.seedHigh },
    ],
  );
  const factor = (word: string): string =>
    `select(vec4<f32>(0.0), vec4<f32>(${p.keepFactor}), bitcast<vec4<i32>>(bitcast<vec4<u32>>(${word}) >> vec4<u32>(1u)) < vec4<i32>(${p.keepBelow}))`;
  const { period } = spec;
  // a block serves four keys; where those of a quad lie apart, each needs one of its own
  const body =
    period === 1
      ? `let words = draw(queries, vec4<i32>(key >> 2u), vec4<i32>(head));
  return array<vec4<f32>, 4>(${[0, 1, 2, 3].map((j) => factor(`words[${j}]`)).join(', ')});`
      : `var found: array<vec4<f32>, 4>;
  ${each(
    4,
    (j) => `{
    let place = (key + ${j}i) * ${period}i + residue;
    var words = draw(queries * ${period}i + residue, vec4<i32>(place >> 2u), vec4<i32>(head));
    found[${j}] = ${factor('words[place & 3i]')};
  }`,
  )}
  return found;`;
  return `${mulHigh}
${words}
fn kept(queries: vec4<i32>, key: i32, head: i32, residue: i32) -> array<vec4<f32>, 4> {
  ${body}
}
`;
}

/**
 * Where NaN must not leak from weights of 0: where the mask hides pairs (in partial tiles) or the score (anywhere). A processor first looks
 * for NaN in the inputs, see `guardOf`; for a GPU the choice in partial tiles costs less than that. `mixed`: tiles may be joined with empty
 * ones, and are partial then whatever the mask.
 */
export const isCareful = (spec: AttendSpec, partial: string, mixed = false): string =>
  spec.hides ? 'always' : spec.mask || mixed ? partial : 'never';
