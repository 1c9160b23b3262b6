import type { Pointer, Value, VectorBuilder, VF, VI } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import {
  COUNT,
  floatCases,
  floatLiterals,
  integerCases,
  integerLiterals,
  resultOf,
  type OperationCase,
  type ResultKind,
} from './vector-cases.js';

export const cases: readonly {
  readonly type: ResultKind;
  readonly lanes: 'scalar' | 'vector';
  readonly operation: OperationCase;
}[] = (['scalar', 'vector'] as const)
  .flatMap((lanes) => [
    ...floatCases.map((operation) => ({ type: 'f32' as const, lanes, operation })),
    ...integerCases.map((operation) => ({ type: 'i32' as const, lanes, operation })),
  ])
  .filter(({ lanes, operation }) => (operation.only ?? lanes) === lanes);

export const results = new Map<(typeof cases)[number], ResultKind>();
/** Numbers a vector gives, by name: sums, extremes, single lanes. */
export const acrossLanes = ['reduceAdd', 'reduceMax', 'reduceMin', 'any', 'any of few'] as const;

/** Everything at once, because a compiler is slow to start. */
export const everyOperation: Kernel = {
  name: 'every operation',
  key: '',
  parameters: Array.from({ length: 10 }, () => 'pointer' as const),
  cpu: (k) => {
    const inputs = Array.from({ length: 6 }, (_, i) => k.parameter(i, 'pointer'));
    const [out, across, lanes, literals] = [6, 7, 8, 9].map((i) => k.parameter(i, 'pointer')) as [
      Pointer,
      Pointer,
      Pointer,
      Pointer,
    ];
    for (const shape of ['scalar', 'vector'] as const) {
      const vector = shape === 'vector';
      const body = (i: Value<'i32'>): void => {
        const [fa, fb, fc, ia, ib, ic] = inputs.map((input, n) => {
          const at = k.offset(input, i, 4);
          if (n < 3) return vector ? k.loadVF(at) : k.loadF32(at);
          return vector ? k.loadVI(at) : k.loadI32(at);
        });
        const to = k.offset(out, i, 4);
        cases.forEach((one, slot) => {
          if (one.lanes !== shape) return;
          const args = one.type === 'f32' ? [fa, fb, fc] : [ia, ib, ic];
          const value = one.operation.build(k, ...(args as [never, never, never])) as VF;
          results.set(one, resultOf(value));
          k.store(to, value, 4 * COUNT * slot);
        });
        if (vector)
          reduce(k, k.offset(across, i, 4 * acrossLanes.length), k.offset(lanes, i, 8 * k.width), fa as VF, ib as VI);
      };
      k.loop(0, COUNT, body, vector ? k.width : 1);
    }
    literal(k, literals);
  },
};

function reduce(k: VectorBuilder, across: Pointer, lanes: Pointer, a: VF, b: VI): void {
  const few = k.eq(b, 3);
  const numbers = [k.reduceAdd(a), k.reduceMax(a), k.reduceMin(a), k.any(b), k.any(few)];
  numbers.forEach((number, i) => k.store(across, number, 4 * i));
  for (let lane = 0; lane < k.width; lane++) {
    const at = 8 * k.width * lane;
    k.store(lanes, k.splat(k.lane(a, lane)), at);
    k.store(lanes, k.add(k.splat(k.lane(b, lane)), k.iota()), at + 4 * k.width);
  }
}

function literal(k: VectorBuilder, to: Pointer): void {
  floatLiterals.forEach((value, i) => {
    k.store(to, k.constant('f32', value), 8 * i);
    k.store(to, k.lane(k.constant('vf', value), k.width - 1), 8 * i + 4);
  });
  const start = 8 * floatLiterals.length;
  integerLiterals.forEach((value, i) => {
    k.store(to, k.constant('i32', value), start + 8 * i);
    k.store(to, k.lane(k.constant('vi', value), k.width - 1), start + 8 * i + 4);
  });
}
