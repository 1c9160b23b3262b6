import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VectorBuilder, type I32, type Variable } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { onEveryTarget, targets } from '../support/targets.js';

/** A variable, the counter of an enclosing loop, or a constant. */
type Operand = { readonly variable: number } | { readonly counter: number } | { readonly constant: number };
type Statement =
  | {
      readonly do: 'assign';
      readonly to: number;
      readonly op: keyof typeof arithmetic;
      readonly a: Operand;
      readonly b: Operand;
    }
  | {
      readonly do: 'loop';
      readonly start: Operand;
      readonly end: Operand;
      readonly step: number;
      readonly body: readonly Statement[];
    }
  | { readonly do: 'while'; readonly times: Operand; readonly body: readonly Statement[] }
  | {
      readonly do: 'if';
      readonly a: Operand;
      readonly b: Operand;
      readonly then: readonly Statement[];
      readonly otherwise?: readonly Statement[];
    };

const VARIABLES = 4;
const RANGE = 6;
const arithmetic = {
  add: (a: number, b: number) => (a + b) | 0,
  sub: (a: number, b: number) => (a - b) | 0,
  mul: Math.imul,
  xor: (a: number, b: number) => a ^ b,
  min: (a: number, b: number) => Math.min(a, b),
} as const;

const { block } = fc.letrec<{ block: Statement[] }>((tie) => {
  const operand: fc.Arbitrary<Operand> = fc.oneof(
    fc.record({ variable: fc.nat(VARIABLES - 1) }),
    fc.record({ counter: fc.nat(3) }),
    fc.record({ constant: fc.integer({ min: -9, max: 9 }) }),
  );
  const op = fc.constantFrom(...(Object.keys(arithmetic) as (keyof typeof arithmetic)[]));
  const assign = fc.record({
    do: fc.constant('assign' as const),
    to: fc.nat(VARIABLES - 1),
    op,
    a: operand,
    b: operand,
  });
  const statement: fc.Arbitrary<Statement> = fc.oneof(
    { maxDepth: 3, depthIdentifier: 'block' },
    assign,
    fc.record({
      do: fc.constant('loop' as const),
      start: operand,
      end: operand,
      step: fc.constantFrom(1, 2, 3, 7),
      body: tie('block'),
    }),
    fc.record({ do: fc.constant('while' as const), times: operand, body: tie('block') }),
    fc.record(
      { do: fc.constant('if' as const), a: operand, b: operand, then: tie('block'), otherwise: tie('block') },
      { requiredKeys: ['do', 'a', 'b', 'then'] },
    ),
  );
  return { block: fc.array(statement, { minLength: 1, maxLength: 4, depthIdentifier: 'block' }) };
});

/** Runs a program in JavaScript; also counts its rounds, so that long ones can be left out. */
function interpret(program: readonly Statement[], variables: number[]): number {
  let rounds = 0;
  const run = (body: readonly Statement[], counters: readonly number[]): void => {
    const of = (x: Operand): number =>
      'constant' in x ? x.constant : 'variable' in x ? variables[x.variable]! : (counters.at(-1 - x.counter) ?? 0);
    const bounded = (x: Operand): number => (of(x) % RANGE) + 0;
    for (const s of body) {
      if (++rounds > 20_000) return;
      if (s.do === 'assign') variables[s.to] = arithmetic[s.op](of(s.a), of(s.b));
      else if (s.do === 'if') run(of(s.a) < of(s.b) ? s.then : (s.otherwise ?? []), counters);
      else if (s.do === 'loop') {
        const end = bounded(s.end);
        for (let i = bounded(s.start); i < end; i += s.step) run(s.body, [...counters, i]);
      } else for (let left = bounded(s.times); left > 0; left--) run(s.body, counters);
    }
  };
  run(program, []);
  return rounds;
}

function write(
  k: VectorBuilder,
  program: readonly Statement[],
  variables: readonly Variable<'i32'>[],
  counters: readonly I32[],
): void {
  const of = (x: Operand): I32 =>
    'constant' in x
      ? k.constant('i32', x.constant)
      : 'variable' in x
        ? // a copy, as `assign` may change the variable before the operand is read
          k.add(variables[x.variable]!, 0)
        : (counters.at(-1 - x.counter) ?? k.constant('i32', 0));
  const bounded = (x: Operand): I32 => k.rem(of(x), RANGE);
  for (const s of program) {
    if (s.do === 'assign') k.assign(variables[s.to]!, k[s.op as 'add'](of(s.a), of(s.b)));
    else if (s.do === 'if') {
      const { otherwise } = s;
      k.if(
        k.lt(of(s.a), of(s.b)),
        () => write(k, s.then, variables, counters),
        otherwise && (() => write(k, otherwise, variables, counters)),
      );
    } else if (s.do === 'loop') {
      k.loop(bounded(s.start), bounded(s.end), (i) => write(k, s.body, variables, [...counters, i]), s.step);
    } else {
      const left = k.variable('i32', bounded(s.times));
      k.while(
        () => k.gt(left, 0),
        () => {
          write(k, s.body, variables, counters);
          k.assign(left, k.sub(left, 1));
        },
      );
    }
  }
}

const starts = [
  [0, 0, 0, 0],
  [1, -2, 3, -4],
  [5, 4, -7, 1000],
  [-1, 2 ** 31 - 1, -(2 ** 31), 11],
];
const programs = fc
  .sample(block, { seed: 5, numRuns: 400 })
  .filter((program) => starts.every((start) => interpret(program, [...start]) < 5000))
  // the longest texts nest the most
  .sort((a, b) => JSON.stringify(b).length - JSON.stringify(a).length)
  .slice(0, 60);

const nested: Kernel = {
  name: 'nested control',
  key: '',
  parameters: ['pointer'],
  cpu: (k) => {
    const base = k.parameter(0, 'pointer');
    k.loop(k.begin, k.end, (task) => {
      programs.forEach((program, n) => {
        const at = k.offset(k.offset(base, task, 4 * VARIABLES * programs.length), 4 * VARIABLES * n);
        const variables = Array.from({ length: VARIABLES }, (_, i) => k.variable('i32', k.loadI32(at, 4 * i)));
        write(k, program, variables, []);
        variables.forEach((value, i) => k.store(at, value, 4 * i));
      });
    });
  },
};

/** Values that live across loops and branches, one of each kind. */
const kinds: Kernel = {
  name: 'variables of every kind',
  key: '',
  parameters: ['pointer', 'pointer', 'i32', 'f32'],
  cpu: (k) => {
    const [x, out] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
    const [count, factor] = [k.parameter(2, 'i32'), k.parameter(3, 'f32')];
    const [sum, scaled] = [k.variable('vf', 0), k.variable('f32', 1)];
    const [hits, walk] = [k.variable('vi', 0), k.variable('pointer', x)];
    const rounds = k.variable('i32', 0);
    k.loop(0, count, () => {
      const value = k.loadVF(walk);
      k.assign(sum, k.add(sum, value));
      k.assign(hits, k.sub(hits, k.gt(value, 0)));
      k.assign(scaled, k.mul(scaled, factor));
      k.assign(rounds, k.add(rounds, 1));
      k.assign(walk, k.offset(walk, 4 * k.width));
    });
    // an assignment in a branch is seen after it, be it all that the branch does
    k.if(
      k.ge(rounds, 3),
      () => k.assign(rounds, k.mul(rounds, 100)),
      () => k.assign(rounds, count),
    );
    k.store(out, sum);
    k.store(out, hits, 4 * k.width);
    k.store(out, scaled, 8 * k.width);
    k.store(out, rounds, 8 * k.width + 4);
    k.store(out, k.sub(k.end, k.begin), 8 * k.width + 8);
    k.store(k.scratch, sum);
    k.store(out, k.lane(k.loadVF(k.scratch), 0), 8 * k.width + 12);
  },
};

onEveryTarget(
  (target) => {
    test(`${programs.length} random programs of nested loops, whiles and branches`, () => {
      const got = Int32Array.from(starts.flatMap((start) => programs.flatMap(() => start)));
      const want = starts.flatMap((start) =>
        programs.flatMap((program) => {
          const variables = [...start];
          interpret(program, variables);
          return variables;
        }),
      );
      target.run(nested, [got], { end: starts.length });
      const wrong = want.findIndex((value, i) => got[i] !== value);
      const program = programs[Math.floor(wrong / VARIABLES) % programs.length];
      expect(
        wrong,
        `variable ${wrong % VARIABLES}: got ${got[wrong]}, want ${want[wrong]} in ${JSON.stringify(program)}`,
      ).toBe(-1);
    });

    test('variables of every kind, tasks and scratch', () => {
      const { width } = target;
      const x = Float32Array.from({ length: 5 * width }, (_, i) => (i % 3) - 1 + i);
      for (const count of [-1, 0, 1, 2, 3, 5]) {
        const out = new Float32Array(2 * width + 4);
        target.run(kinds, [x, out, count, 1.5], { begin: 3, end: 10, scratchBytes: 4 * width });
        const integers = new Int32Array(out.buffer);
        const rounds = Math.max(0, count);
        for (let lane = 0; lane < width; lane++) {
          const values = Array.from({ length: rounds }, (_, i) => x[i * width + lane]!);
          expect(out[lane]).toBe(values.reduce((a, b) => a + b, 0));
          expect(integers[width + lane]).toBe(values.filter((value) => value > 0).length);
        }
        expect(out[2 * width]).toBe(1.5 ** rounds);
        expect(integers[2 * width + 1]).toBe(rounds >= 3 ? 100 * rounds : count);
        expect(integers[2 * width + 2]).toBe(7);
        expect(out[2 * width + 3]).toBe(out[0]);
      }
    });
  },
  ({ name, width }) => name.startsWith('wasm') || width === Math.max(...targets.map((target) => target.width)),
);

describe('the builder', () => {
  const kernel: Kernel = { name: 'k', key: '', parameters: ['pointer', 'f32'], cpu: () => {} };

  test('refuses a parameter of another kind', () => {
    const k = new VectorBuilder(kernel, 4);
    expect(() => k.parameter(0, 'i32')).toThrow('k: parameter 0 is pointer, not i32');
    expect(() => k.parameter(1, 'pointer')).toThrow('k: parameter 1 is f32, not pointer');
    expect(() => k.parameter(2, 'f32')).toThrow('k: parameter 2 is undefined, not f32');
    expect(k.parameter(1, 'f32').kind).toBe('f32');
  });

  test('numbers its locals after params, scratch, begin and end', () => {
    const k = new VectorBuilder(kernel, 4);
    const sum = k.add(k.begin, 1);
    expect([k.scratch.id, k.begin.id, k.end.id, sum.id]).toEqual([1, 2, 3, 5]);
    expect(k.finish().kinds).toEqual(['pointer', 'pointer', 'i32', 'i32', 'i32', 'i32']);
  });
});
