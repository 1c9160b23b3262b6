import type { FloatDtype } from '../../../core/dtype.js';
import { each, stage } from '../../gpu/stage.js';
import { odd, type AttendCut } from './cut.js';

// What attention does on a GPU, forward and backward, in three moves: rows of two sides are multiplied into scores, scores become weights
// in workgroup memory, weights meet rows of the other side. `to` and `tt` are an invocation's quads of own and other rows.

/** Rows in memory, WGSL expressions: the element where row 0 begins, elements from row to row, rows that exist, and what they are times. */
export interface GpuRows {
  readonly start: string;
  readonly pitch: string;
  readonly valid: string;
  readonly factor?: string;
  /** Default f32. */
  readonly dtype?: FloatDtype;
  /** Of a row that exists, instead of what lies in memory. */
  readonly value?: (row: string, column: string) => string;
}

function valueOf(rows: GpuRows, row: string, column: string): string {
  const { start, pitch, valid, factor, dtype = 'f32', value } = rows;
  const exists = `i32(${row}) < ${valid}`;
  if (value) return `select(0.0, ${value(row, column)}, ${exists})`;
  const loaded = `load_${dtype}_if(${exists}, ${start} + ${row} * ${pitch} + ${column})`;
  return factor ? `${loaded} * ${factor}` : loaded;
}

/** How weights meet rows. */
export interface Meeting {
  /** Where weights of 0 take nothing: an expression that is the same for all invocations. */
  readonly careful?: 'never' | 'always' | (string & {});
  /** The first of the columns, and how many there are beyond those that are summed. */
  readonly first?: string;
  readonly total?: number;
}

/** The functions of a text are written for one cut. */
export class GpuTileText {
  constructor(readonly cut: AttendCut) {}

  get memory(): string {
    return `var<workgroup> memory: array<vec4<f32>, ${this.cut.vectors}>;\n`;
  }

  get place(): string {
    const { otherQuads } = this.cut;
    return `let to = lane / ${otherQuads}u;\n  let tt = lane % ${otherQuads}u;`;
  }

  /** Own rows that stay: all columns. A barrier must follow. */
  stay(rows: GpuRows, columns: number): string {
    const { ownQuads, invocations } = this.cut;
    return stage({
      to: '0u',
      quads: ownQuads,
      pitch: ownQuads,
      steps: columns,
      along: 'steps',
      value: (row, column) => valueOf(rows, row, column),
      invocations,
    });
  }

  /** `s0 … s3`, declared: products of four own rows with four others each. `own` undefined: the rows that stay. */
  product(s: string, own: GpuRows | undefined, other: GpuRows, columns: number): string {
    const { ownQuads, otherQuads, columns: most, staged, invocations } = this.cut;
    const slice = Math.min(most, columns);
    const otherAt = staged + (own ? slice * (ownQuads + 1) : 0);
    const move = (rows: GpuRows, to: number, quads: number): string =>
      stage({
        to: `${to}u`,
        quads,
        pitch: quads + 1,
        steps: 'steps',
        along: 'steps',
        value: (row, column) => valueOf(rows, row, `(c0 + ${column})`),
        invocations,
      });
    return `
  ${each(4, (r) => `var ${s}${r} = vec4<f32>(0.0);`)}
  for (var c0 = 0u; c0 < ${columns}u; c0 += ${slice}u) {
    let steps = min(${columns}u - c0, ${slice}u);
    ${own ? move(own, staged, ownQuads) : ''}
    ${move(other, otherAt, otherQuads)}
    workgroupBarrier();
    for (var c = 0u; c < steps; c++) {
      let x = memory[${own ? `${staged}u + c * ${ownQuads + 1}u` : `(c0 + c) * ${ownQuads}u`} + to];
      let y = memory[${otherAt}u + c * ${otherQuads + 1}u + tt];
      ${each(4, (r) => `${s}${r} = fma(vec4<f32>(x[${r}]), y, ${s}${r});`)}
    }
    workgroupBarrier();
  }`;
  }

  /** Four own rows of each of four others, from `s0 … s3`, to where `accumulate` finds them. A barrier must follow. */
  share(quadOf: (j: number) => string): string {
    const { weights, ownQuads } = this.cut;
    return each(4, (j) => `memory[${weights}u + (4u * tt + ${j}u) * ${ownQuads + 1}u + to] = ${quadOf(j)};`);
  }

  sumsOf = (columns: number): number => Math.ceil(columns / this.cut.otherQuads);

  declare(o: string, columns: number): string {
    return each(this.sumsOf(columns), (i) => `var ${o}${i} = vec4<f32>(0.0);`);
  }

  /**
   * `o_i += Σ_j weights[j] · rows[j][column]` for an invocation's columns `tt + i·otherQuads`, four own rows a vector. Where `careful`, weights
   * of 0 take nothing, not even NaN.
   */
  accumulate(
    o: string,
    rows: GpuRows,
    columns: number,
    { careful = 'never', first = '0u', total = columns }: Meeting = {},
  ): string {
    const { weights, staged, ownQuads, otherQuads, rowQuads, invocations } = this.cut;
    const pitch = odd(rowQuads);
    const add = (skip: boolean): string => `
      for (var j = 0u; j < ${rowQuads}u; j++) {
        ${each(4, (n) => `let w${n} = memory[${weights}u + (4u * (j0 + j) + ${n}u) * ${ownQuads + 1}u + to];`)}
        ${each(this.sumsOf(columns), (i) => {
          const column =
            (i + 1) * otherQuads <= columns
              ? `tt + ${i * otherQuads}u`
              : `min(tt + ${i * otherQuads}u, ${columns - 1}u)`;
          const sum = `${o}${i}`;
          const term = (n: number): string => {
            const next = `fma(w${n}, vec4<f32>(v${i}[${n}]), ${sum})`;
            return `${sum} = ${skip ? `select(${next}, ${sum}, w${n} == vec4<f32>(0.0))` : next};`;
          };
          return `let v${i} = memory[${staged}u + (${column}) * ${pitch}u + j];\n${each(4, term)}`;
        })}
      }`;
    return `
  for (var j0 = 0u; j0 < ${otherQuads}u && 4i * i32(j0) < ${rows.valid}; j0 += ${rowQuads}u) {
    ${stage({
      to: `${staged}u`,
      quads: rowQuads,
      pitch,
      steps: columns,
      along: 'steps',
      // columns past the last are those of another row, and not stored
      value: (row, column) =>
        valueOf(rows, `(4u * j0 + ${row})`, total > columns ? `min(${first} + ${column}, ${total - 1}u)` : column),
      invocations,
    })}
    workgroupBarrier();
    ${careful === 'never' || careful === 'always' ? add(careful === 'always') : `if (${careful}) {${add(true)}\n } else {${add(false)}\n }`}
    workgroupBarrier();
  }`;
  }

  /** One vector of each invocation's, over all with the same own rows, in their order. */
  reduce(value: string, into: string, combine: (a: string, b: string) => string): string {
    const { staged, otherQuads } = this.cut;
    return `
  memory[${staged}u + to * ${otherQuads + 1}u + tt] = ${value};
  workgroupBarrier();
  for (var t = 0u; t < ${otherQuads}u; t++) {
    ${into} = ${combine(into, `memory[${staged}u + to * ${otherQuads + 1}u + t]`)};
  }`;
  }
}
