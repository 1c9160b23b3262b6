import { gpuModule } from '../../codegen/gpu.js';
import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { bytesPerElement } from '../../core/dtype.js';
import { loadFloats, loadSplat } from '../cast/convert.js';
import { eachVector } from '../lanes.js';
import { constantCount, epilogueKey, finishRow } from './epilogue.js';
import type { VectorPlan } from './layout.js';
import { storedKey } from './pack.js';
import type { VectorSpec } from './vector-spec.js';
import { typedKernel, type Read } from '../typed-kernel.js';

const texts = gpuModule(() => import('./gpu-vector.js'));

const names = {
  x: 'pointer',
  b: 'pointer',
  bias: 'pointer',
  out: 'pointer',
  kept: 'pointer',
  N: 'i32',
  K: 'i32',
  batches: 'i32',
  xDiv: 'i32',
  xMod: 'i32',
  bDiv: 'i32',
  bMod: 'i32',
  columns: 'i32',
  ranges: 'i32',
  splitDepth: 'i32',
} as const;

type Parameters = Read<typeof names>;

/** Columns whose inner products are formed together when B's columns are contiguous. */
const group = 4;
/** Rows added up between two visits to the sums when B's rows are contiguous. */
const stride = 8;

export const vectorScratch = (plan: VectorPlan): number => 4 * (plan.columns + 64);

/** `out = activation(x·B + bias)` for one row x: reads B once, packs nothing. */
export const vectorKernel = typedKernel({
  name: 'matmul vector',
  key: ({ x, b, bias, epilogue }: VectorSpec) =>
    `${x}/${storedKey(b)}/${bias ? `${bias.dtype}${bias.one ? '1' : ''}` : '-'}/${epilogueKey(epilogue)}`,
  parameters: names,
  constants: ({ epilogue }) => constantCount(epilogue),
  text,
  gpu: (_, spec, p, constant) => texts().vectorText(spec, p, constant),
});

/** Part of a product: `count` columns from `column`, over rows `first … last-1` of the inner sum. */
interface Part {
  readonly x: Pointer;
  readonly b: Pointer;
  readonly first: I32;
  readonly last: I32;
  readonly count: I32;
}

function text(k: VectorBuilder, spec: VectorSpec, p: Parameters, firstConstant: number): void {
  k.loop(k.begin, k.end, (task) => {
    const column = k.mul(k.rem(task, p.ranges), p.columns);
    const matrix = k.div(task, p.ranges);
    const batch = k.rem(matrix, p.batches);
    const first = k.mul(k.div(matrix, p.batches), p.splitDepth);
    const last = k.min(k.add(first, p.splitDepth), p.K);
    const count = k.min(k.sub(p.N, column), p.columns);
    const xStart = k.mul(k.rem(k.div(batch, p.xDiv), p.xMod), p.K);
    const bMatrix = k.mul(k.rem(k.div(batch, p.bDiv), p.bMod), k.mul(p.K, p.N));
    const bStart = k.add(bMatrix, spec.b.contiguous ? column : k.mul(column, p.K));
    const part: Part = {
      x: k.offset(p.x, xStart, bytesPerElement[spec.x]),
      b: k.offset(p.b, bStart, bytesPerElement[spec.b.dtype]),
      first,
      last,
      count,
    };
    startingValues(k, spec, p, column, part);
    if (spec.b.contiguous) addRows(k, spec, p, part);
    else innerProducts(k, spec, p, part);
    const at = k.add(k.mul(matrix, p.N), column);
    const [to, kept] = [k.offset(p.out, at, 4), k.offset(p.kept, at, 4)];
    const [no, yes] = [k.constant('i32', 0), k.constant('i32', 1)];
    finishRow(k, spec.epilogue, firstConstant, { sums: k.scratch, count, to, kept, continues: no, ends: yes });
  });
}

function startingValues(
  k: VectorBuilder,
  { bias }: VectorSpec,
  p: Parameters,
  column: I32,
  { first, count }: Part,
): void {
  const eachVector = (value: (at: I32) => VF): void =>
    k.loop(0, count, (at) => k.store(k.offset(k.scratch, at, 4), value(at)), k.width);
  const zeros = (): void => eachVector(() => k.constant('vf', 0));
  if (bias === undefined) return zeros();
  const { dtype, one } = bias;
  const element = bytesPerElement[dtype];
  k.if(
    k.eq(first, 0),
    () =>
      eachVector((at) => {
        if (one) return loadSplat(k, dtype, p.bias) as VF;
        return loadFloats(k, dtype, k.offset(p.bias, k.add(column, at), element), 0, k.sub(count, at));
      }),
    zeros,
  );
}

/** B's rows are contiguous: sums += x[k]·B[k], several rows at a time. */
function addRows(k: VectorBuilder, spec: VectorSpec, p: Parameters, { x, b, first, last, count }: Part): void {
  const [xBytes, bBytes] = [bytesPerElement[spec.x], bytesPerElement[spec.b.dtype]];
  const addSome = (from: I32, rows: number): void => {
    const factors = Array.from(
      { length: rows },
      (_, r) => loadSplat(k, spec.x, k.offset(x, from, xBytes), r * xBytes) as VF,
    );
    const sources = factors.map((_, r) => k.offset(b, k.mul(k.add(from, r), p.N), bBytes));
    eachVector(k, k.constant('i32', 0), count, (at, present) => {
      const to = k.offset(k.scratch, at, 4);
      let sum = k.loadVF(to);
      factors.forEach((factor, r) => {
        sum = k.fma(factor, loadFloats(k, spec.b.dtype, k.offset(sources[r]!, at, bBytes), 0, present), sum);
      });
      k.store(to, sum);
    });
  };
  const whole = k.add(first, k.and(k.sub(last, first), -stride));
  k.loop(first, whole, (from) => addSome(from, stride), stride);
  k.loop(whole, last, (from) => addSome(from, 1));
}

/** B's columns are contiguous: inner products of a few columns at a time. */
function innerProducts(k: VectorBuilder, spec: VectorSpec, p: Parameters, { x, b, first, last, count }: Part): void {
  const [xBytes, bBytes] = [bytesPerElement[spec.x], bytesPerElement[spec.b.dtype]];
  k.loop(
    0,
    count,
    (column) => {
      const nearest = Array.from({ length: group }, (_, i) => k.min(k.add(column, i), k.sub(count, 1)));
      const sources = nearest.map((i) => k.offset(b, k.mul(i, p.K), bBytes));
      const sums = sources.map(() => k.variable('vf', 0));
      eachVector(k, first, last, (at, present) => {
        const factor = loadFloats(k, spec.x, k.offset(x, at, xBytes), 0, present);
        sources.forEach((source, i) => {
          const value = loadFloats(k, spec.b.dtype, k.offset(source, at, bBytes), 0, present);
          k.assign(sums[i]!, k.fma(factor, value, sums[i]!));
        });
      });
      const to = k.offset(k.scratch, column, 4);
      // past the last column these are sums that nobody reads
      sums.forEach((sum, i) => k.store(to, k.add(k.loadF32(to, 4 * i), k.reduceAdd(sum)), 4 * i));
    },
    group,
  );
}
