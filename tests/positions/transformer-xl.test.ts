import { describe, expect, it } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { within } from '../../src/masks/index.js';
import { relativeAttend, relativeScore, type RelativeOptions } from '../../src/positions/index.js';
import { scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { relative, relativeGradients, type RelativeProblem } from '../oracles/positions.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkOperation } from '../support/operation.js';
import { normal } from '../support/random.js';
import { full } from '../support/full.js';

const shapesOf = ({ B, H, L, S, D, M }: RelativeProblem): number[][] => [
  [B, H, L, D],
  [B, H, S, D],
  [B, H, S, D],
  [H * D, M],
  [H, D],
  [H, D],
];
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const problems: readonly RelativeProblem[] = [
  { B: 1, H: 1, L: 1, S: 1, D: 2, M: 2, clamp: Infinity },
  { B: 2, H: 2, L: 5, S: 5, D: 4, M: 6, clamp: Infinity },
  { B: 1, H: 2, L: 7, S: 18, D: 5, M: 8, clamp: Infinity },
  { B: 1, H: 3, L: 6, S: 11, D: 4, M: 8, clamp: 4 },
  { B: 1, H: 1, L: 20, S: 33, D: 8, M: 12, clamp: Infinity },
];

onEveryDevice((on) => {
  const call = (inputs: readonly Tensor[], options: RelativeOptions = {}): Tensor => {
    const [q, k, v, weight, contentBias, positionBias] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    return scope(() => relativeAttend(q, k, v, { weight, contentBias, positionBias }, options).out);
  };
  const leaves = (problem: RelativeProblem): Tensor[] =>
    shapesOf(problem).map((shape, i) =>
      tensor(
        normal(
          i,
          shape.reduce((a, b) => a * b, 1),
        ),
        shape,
        { device: on.device },
      ),
    );

  describe('relativeAttend', () => {
    for (const method of ['table', 'rotated'] as const) {
      const sizes = problems.filter(({ clamp }) => method === 'table' || clamp === Infinity);
      // every size is kernels to compile natively; their text is that of WebAssembly
      const fitting = on.kind === 'native' && !full ? sizes.slice(1, -1) : sizes;
      it.each(fitting)(`${method}: agrees with the formula, with all gradients, for %j`, async (one) => {
        const problem = { ...one, bySum: method === 'rotated' };
        await checkOperation(on.device, {
          name: `relativeAttend ${method}`,
          shapes: shapesOf(problem),
          run: (...inputs) => call(inputs, { method, ...(problem.clamp < Infinity && { clamp: problem.clamp }) }),
          forward: (r, ...inputs) => relative(r, problem, ...inputs),
          backward: (r, d, ...inputs) => relativeGradients(r, problem, d, ...inputs),
        });
      });
    }

    it('continues over segments as over the whole, when the memory holds all of the past', async () => {
      const whole = { B: 1, H: 2, L: 24, S: 24, D: 4, M: 8, clamp: Infinity };
      const values = shapesOf(whole).map((shape, i) => normal(i, sizeOf(shape)));
      const [oracle, plain] = [relative((x) => x, whole, ...values), relative(Math.fround, whole, ...values)];
      const rows = (x: ArrayLike<number>, first: number, end: number): number[] =>
        [0, 1].flatMap((h) => Array.from({ length: (end - first) * 4 }, (_, i) => x[(24 * h + first) * 4 + i]!));
      for (const [first, end] of [
        [0, 10],
        [10, 11],
        [11, 24],
      ] as const) {
        const part = scope(() => {
          const cut = (i: number, from: number): Tensor =>
            tensor(rows(values[i]!, from, end), [1, 2, end - from, 4], { device: on.device });
          const rest = [3, 4, 5].map((i) => tensor(values[i]!, shapesOf(whole)[i], { device: on.device }));
          return call([cut(0, first), cut(1, 0), cut(2, 0), ...rest]);
        });
        expectClose(`rows ${first} to ${end}`, await part.data(), rows(oracle, first, end), {
          budget: budgetOf(oracle, plain),
        });
        part.dispose();
      }
    });

    it('takes a mask, such as the same number of keys for every query', async () => {
      const problem = problems[2]!;
      const inputs = leaves(problem);
      const open = call(inputs, { mask: within({ left: 100, right: 0 }) });
      const plain = call(inputs);
      expectSameBits('a mask that allows everything', await open.data(), await plain.data());
      const self = call(inputs, { mask: within({ left: 0, right: 0 }) });
      const values = await inputs[2]!.data();
      const { L, S, D, H } = problem;
      const own = Array.from({ length: H }, (_, h) =>
        Array.from(values.slice((h * S + S - L) * D, (h + 1) * S * D)),
      ).flat();
      expectSameBits('only itself', await self.data(), own);
      for (const one of [...inputs, open, plain, self]) one.dispose();
    });

    it('says what does not fit', () => {
      const inputs = leaves(problems[2]!);
      const [q, k, v, weight, contentBias, positionBias] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
      const own = { weight, contentBias, positionBias };
      expect(() => relativeAttend(k, q, v, own)).toThrow(ShapeError);
      expect(() => relativeAttend(q, k, v, { ...own, contentBias: weight })).toThrow(/contentBias=\[10,8\]/);
      expect(() => relativeAttend(q, k, v, own, { clamp: 1.5 })).toThrow(OptionError);
      expect(() => relativeAttend(q, k, v, own, { clamp: 3, method: 'rotated' })).toThrow(/does not clamp/);
      expect(() => relativeAttend(q, k, v, own, { method: 'tables' as never })).toThrow(
        /"table" or "rotated"; got "tables" \(did you mean "table"\?\)/,
      );
      expect(() => relativeScore(q).expression({ B: 1, H: 2, G: 2, L: 8, S: 18 })).toThrow(/got \[1,2,7,5\] with B=1/);
      for (const one of inputs) one.dispose();
    });
  });
});
