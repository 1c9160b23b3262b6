import { CapabilityError, OptionError } from '../../../src/core/errors.js';
import { noGradient, tensor, type Tensor } from '../../../src/tensor/index.js';
import { admits, causalCases, describeCase } from './cases.js';
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
  // with projections of its own, and without
  const ways = mechanism.definition.inputs ? [{}, { plain: true }] : [{}];
  for (const one of [...cases, ...grouped].flatMap((each) => ways.map((way) => ({ ...each, ...way })))) {
    const expected = answers.of(one);
    for (const [i, steps] of stretches(one.shape.L).entries()) {
      const out = await decodeIn(gated, on, one, expected.data, steps, i === 0 ? one.shape.L : roomFor(gated, one));
      expectResult(`${mechanism.name} ${describeCase(one)} in steps of ${steps.join()}`, 'out', out, expected);
    }
  }
};

/** Room for more tokens than come, unless parameters or the mechanism say how many there are. */
function roomFor({ mechanism, answers }: Gated, one: Case): number {
  const { L } = one.shape;
  const longer = { ...one, options: answers.data(one).options, shape: { ...one.shape, L: 2 * L + 3, S: 2 * L + 3 } };
  return admits(mechanism, longer) ? longer.shape.S : L;
}

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
  maxLength: number,
): Promise<Float32Array> {
  const { B, H, G, L, D, E } = one.shape;
  const { q, k, v, options, all } = place(device, one, data, { forward: true });
  const held: Tensor[] = [...all];
  const { inputs: whole, ...rest } = options;
  // defaults are those of the sequence, whatever there is room for
  const decoder = mechanism.decoder({ ...data.options, ...rest, maxLength });
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
      const inputs = Object.fromEntries(
        Object.entries(data.inputs).map(([name, { data: x, shape }]) => [name, part(x, shape[1]!, shape[3]!)]),
      );
      const result = noGradient(() => decoder.step(...qkv, { inputs }));
      held.push(result.out, ...(result.logsumexp ? [result.logsumexp] : []));
      // a decoder keeps what it needs: the caller may free what it gave
      for (const x of [...qkv, ...Object.values(inputs)]) x.dispose();
      const numbers = await result.out.data();
      for (let head = 0; head < B * H; head++) {
        out.set(numbers.subarray(head * (end - start) * E, (head + 1) * (end - start) * E), (head * L + start) * E);
      }
      start = end;
      if (start === L) break;
    }
    if (maxLength === L) {
      expectRefusal(`${mechanism.name}: tokens beyond maxLength`, OptionError, () =>
        decoder.step(q, k, v, { inputs: (whole ?? {}) as Readonly<Record<string, Tensor>> }).out.dispose(),
      );
    }
    if (decoder.length !== L) throw new Error(`${mechanism.name}: a decoder of ${L} tokens counts ${decoder.length}`);
  } finally {
    decoder.dispose();
    for (const x of held) x.dispose();
  }
  return out;
}
