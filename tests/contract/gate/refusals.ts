import type { AttentionShape, OptionSpec } from '../../../src/attention/index.js';
import { CapabilityError, OptionError } from '../../../src/core/errors.js';
import type { Device } from '../../../src/devices/index.js';
import { softcap } from '../../../src/scores/index.js';
import { disposeAll, liveTensors, tensor } from '../../../src/tensor/index.js';
import { base, isRefusal, plainCases, sizesOf } from './cases.js';
import { callOptions } from './data.js';
import type { Check, Gated, Options } from './spec.js';

type Class = abstract new (...args: never[]) => Error;

/** The message of a call that must be refused before a byte is allocated. @throws if it is accepted, or refused otherwise. */
function refusal(
  device: Device,
  { mechanism }: Gated,
  what: string,
  shape: AttentionShape,
  options: Options,
  kind?: Class,
): string {
  const { B, H, G, L, S, D, E } = shape;
  const zeros = (sizes: readonly number[]): ReturnType<typeof tensor> =>
    tensor(new Float32Array(sizes.reduce((a, b) => a * b)), sizes, { device });
  const qkv = [zeros([B, H, L, D]), zeros([B, G, S, D]), zeros([B, G, S, E])] as const;
  const [bytes, tensors] = [device.ledger.mark(), liveTensors()];
  try {
    const { out, logsumexp } = mechanism.run(...qkv, options);
    disposeAll([out, ...(logsumexp ? [logsumexp] : [])]);
  } catch (error) {
    if (!(error instanceof Error) || !(kind ? error instanceof kind : isRefusal(error)))
      throw new Error(`${mechanism.name}: ${what} is refused as ${String(error)}`, { cause: error });
    if (device.ledger.peak !== bytes || device.ledger.live() !== bytes || liveTensors() !== tensors)
      throw new Error(`${mechanism.name}: ${what} is refused after memory was allocated`, { cause: error });
    return error.message;
  } finally {
    disposeAll(qkv);
  }
  throw new Error(`${mechanism.name}: ${what} is accepted`);
}

/** What comes between the name and the shapes. */
const reasons = (name: string, message: string): string[] =>
  message.slice(name.length + 2, message.lastIndexOf(' (')).split('; ');

/** What the mechanism does not support is refused with a CapabilityError that has every reason, before anything is allocated. */
export const capabilities: Check = async (gated, { device }) => {
  const { mechanism, spec } = gated;
  const { supports } = mechanism.definition;
  const { options } = plainCases(gated)[0]!;
  const [small] = sizesOf(spec);
  const shape = { ...base, L: small, S: small };
  const causal = supports.causal === 'only';
  // where keys are cached, causal steps have L ≠ S
  const crossable = supports.cross || (supports.decode === 'cache' && supports.causal !== false);
  const unsupported: Readonly<
    Record<string, { readonly options?: Options; readonly shape?: Partial<AttentionShape> }>
  > = {
    ...(supports.causal === false && { causal: { options: { causal: true } } }),
    ...(causal && { 'not causal': { options: { causal: false } } }),
    ...(!supports.cross && !(crossable && causal) && { 'L ≠ S': { shape: { L: small + 3 } } }),
    ...(!supports.padding && { lengths: { options: { lengths: [small - 1, 2] } } }),
    ...(!supports.score && { score: { options: { score: softcap(5) } } }),
    ...(!supports.groupedHeads && { 'grouped heads': { shape: { H: 4, G: 2 } } }),
  };
  const all = Object.values(unsupported);
  const singles = Object.entries(unsupported).map(([what, one]) => ({
    what,
    message: refusal(device, gated, what, { ...shape, ...one.shape }, { ...options, ...one.options }, CapabilityError),
  }));
  if (singles.length < 2) return;
  const together = refusal(
    device,
    gated,
    Object.keys(unsupported).join(' and '),
    Object.assign({}, shape, ...all.map((one) => one.shape)) as AttentionShape,
    Object.assign({}, options, ...all.map((one) => one.options)) as Options,
    CapabilityError,
  );
  for (const { what, message } of singles) {
    // sizes in a sentence are those of the call, so its words before them are compared
    const words = reasons(mechanism.name, message)[0]!.split(/;|: got|\d/)[0]!;
    if (!together.includes(words))
      throw new Error(`${mechanism.name}: "${together}" leaves out that ${what} is refused`);
  }
};

/** Values that an option does not take. */
function wrongValues(spec: OptionSpec): readonly unknown[] {
  switch (spec.type) {
    case 'integer':
      return [spec.min - 1, spec.min + 0.5, NaN, 'x', ...(spec.max === undefined ? [] : [spec.max + 1])];
    case 'number':
      return [spec.min - 1, NaN, 'x', ...(spec.max === undefined ? [] : [spec.max * 1.1 + 1])];
    case 'boolean':
      return [1, 'true'];
    case 'choice':
      return ['nonsense', 0];
    case 'integers':
      return [3, [spec.min - 1], [0.5]];
    default:
      return spec satisfies never;
  }
}

/** Values out of range, unknown options and what the specification names are refused with the option's name. */
export const options: Check = async (gated, { device }) => {
  const { mechanism, spec } = gated;
  const { options: specs, supports } = mechanism.definition;
  const one = plainCases(gated)[0]!;
  const good = callOptions(one);
  const refuse = (name: string, changes: Options): string => {
    const message = refusal(device, gated, JSON.stringify(changes), one.shape, { ...good, ...changes }, OptionError);
    if (!message.includes(name)) throw new Error(`${mechanism.name}: "${message}" does not name ${name}`);
    return message;
  };
  for (const [name, each] of Object.entries(specs)) {
    for (const value of wrongValues(each)) refuse(name, { [name]: value });
  }
  refuse('nonsense', { nonsense: 1 });
  refuse('scale', { scale: Infinity });
  refuse('seed', { seed: -1 });
  if (supports.padding) for (const lengths of [[0, 1], [1], [1, one.shape.S + 1]]) refuse('lengths', { lengths });
  const both = refuse('seed', {
    seed: 0.5,
    ...Object.fromEntries(Object.keys(specs).map((name) => [name, undefined])),
    nonsense: 1,
  });
  if (!both.includes('nonsense')) throw new Error(`${mechanism.name}: "${both}" has one of two reasons`);
  for (const { options: own = {}, shape = {} } of spec.refused ?? []) {
    refusal(
      device,
      gated,
      JSON.stringify({ ...own, ...shape }),
      { ...one.shape, ...shape },
      { ...own, causal: one.causal },
    );
  }
};
