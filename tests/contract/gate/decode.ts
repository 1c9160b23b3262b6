import { CapabilityError, OptionError } from '../../../src/core/errors.js';
import { noGradient, tensor, type Tensor } from '../../../src/tensor/index.js';
import { causalCases, describeCase } from './cases.js';
import { expectResult } from './expected.js';
import { place } from './run.js';
import type { Case, Check, Gated, On } from './spec.js';
import type { Data } from './data.js';

/** One token at a time, and in stretches, as a prefill followed by steps. */
const stretches = (length: number): readonly (readonly number[])[] => [
  Array.from({ length }, () => 1),
  [Math.ceil(length / 3), 1, 1, Math.ceil(length / 4), length],
];

/** Steps give what one pass over the whole sequence gives. */
export const decode: Check = async (gated, on) => {
  const { mechanism, answers } = gated;
  const { supports } = mechanism.definition;
  if (supports.decode === false) {
    expectRefusal(`${mechanism.name}: a decoder it does not have`, CapabilityError, () => {
      mechanism.decoder({ maxLength: 8 }).dispose();
    });
    return;
  }
  const cases = causalCases(gated);
  const grouped = supports.groupedHeads ? cases.map((one) => ({ ...one, shape: { ...one.shape, G: 1 } })) : [];
  for (const one of [...cases, ...grouped].map((each) => ({ ...each, plain: true }))) {
    const expected = answers.of(one);
    for (const steps of stretches(one.shape.L)) {
      const out = await decodeIn(gated, on, one, expected.data, steps);
      expectResult(`${mechanism.name} ${describeCase(one)} in steps of ${steps.join()}`, 'out', out, expected);
    }
  }
};

function expectRefusal(what: string, kind: abstract new (...args: never[]) => Error, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (error instanceof kind) return;
    throw new Error(`${what}: refused as ${String(error)}`, { cause: error });
  }
  throw new Error(`${what}: accepted`);
}

async function decodeIn(
  { mechanism }: Gated,
  { device }: On,
  one: Case,
  data: Data,
  steps: readonly number[],
): Promise<Float32Array> {
  const { B, H, G, L, D, E } = one.shape;
  const { q, k, v, options, all } = place(device, one, data, { forward: true });
  const held: Tensor[] = [...all];
  const decoder = mechanism.decoder({ ...options, maxLength: L } as never);
  const out = new Float32Array(B * H * L * E);
  try {
    let start = 0;
    for (const step of steps) {
      const end = Math.min(L, start + step);
      const part = (x: Float32Array, heads: number, columns: number): Tensor => {
        const rows = x.filter((_, n) => {
          const row = Math.floor(n / columns) % L;
          return row >= start && row < end;
        });
        const made = tensor(rows, [B, heads, end - start, columns], { device });
        held.push(made);
        return made;
      };
      const qkv = [part(data.q, H, D), part(data.k, G, D), part(data.v, G, E)] as const;
      const result = noGradient(() => decoder.step(...qkv));
      held.push(result.out, ...(result.logsumexp ? [result.logsumexp] : []));
      // a decoder keeps what it needs: the caller may free what it gave
      for (const x of qkv) x.dispose();
      const numbers = await result.out.data();
      for (let head = 0; head < B * H; head++) {
        out.set(numbers.subarray(head * (end - start) * E, (head + 1) * (end - start) * E), (head * L + start) * E);
      }
      start = end;
      if (start === L) break;
    }
    expectRefusal(`${mechanism.name}: tokens beyond maxLength`, OptionError, () => decoder.step(q, k, v).out.dispose());
    if (decoder.length !== L) throw new Error(`${mechanism.name}: a decoder of ${L} tokens counts ${decoder.length}`);
  } finally {
    decoder.dispose();
    for (const x of held) x.dispose();
  }
  return out;
}
