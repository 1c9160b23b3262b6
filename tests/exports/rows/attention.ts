import { flash, type registerMechanism, type Mechanism, type OptionSpec } from '../../../src/attention/index.js';
import {
  anything,
  aScore,
  callback,
  either,
  flag,
  floats,
  list,
  number,
  numbers,
  open,
  optional,
  options,
  positive,
  shape,
  text,
  value,
  whole,
  word,
  type Kind,
} from '../kinds.js';
import { call, method, plain, type Plain, type Row } from '../row.js';
import { decoders } from './decoders.js';

const sizes = { B: 1, H: 2, G: 2, L: 4, S: 4, D: 4, E: 4 };
const aShape = open(
  options(
    { B: positive(), H: positive(2), G: positive(2), L: positive(4), S: positive(4), D: positive(4), E: positive(4) },
    Object.keys(sizes),
  ),
);
const x = floats(1, 2, 4, 4);
/** Options of every call; `settled` where no tensor is looked at. */
const common = {
  causal: flag(),
  scale: number(),
  score: aScore,
  lengths: numbers([3]),
  globalTokens: value(undefined),
  seed: whole(1),
  parameters: value({}, (given) => isEmpty(given)),
  inputs: value({}, (given) => isEmpty(given)),
};
// tensors by name are looked at where there are tensors
const byName = value({}, (given) => typeof given === 'object' && Object.keys(given ?? []).includes('nonsense'));
const untouched = { parameters: either(byName, common.parameters), inputs: either(byName, common.inputs) };
const settled = open(options({ ...common, ...untouched }));
const isEmpty = (given: unknown): boolean =>
  typeof given === 'object' && given !== null && !Array.isArray(given) && Object.keys(given).length === 0;
const object = value({}, (given) => typeof given === 'object' && given !== null);
const ofFlash = method(() => flash);
const init = callback(() => new Float32Array(4));
const range = { min: number(1), max: number(8), help: text() };
const initialiser = (row: Row['call']): Row => ({ signature: [shape(4, 4), whole(1), text()], call: row });

export const attention: Readonly<Record<string, Row | Plain>> = {
  mechanism: call(word('flash')),
  Mechanism: plain('made by defineAttention; its constructor is internal'),
  'Mechanism.run': ofFlash('run', x, x, x, open(options(common))),
  knownMechanisms: call(),
  registerMechanism: {
    signature: [value(flash), options({ plugin: text() })],
    call: (f: typeof registerMechanism, [own, given]) => f(own as never, given as never)(),
  },
  'Mechanism.call': plain('internal'),
  'Mechanism.settle': ofFlash('settle', aShape, settled),
  'Mechanism.pattern': ofFlash('pattern', aShape, settled),
  'Mechanism.reach': ofFlash('reach', aShape, settled),
  'Mechanism.choices': ofFlash('choices', x, x, x, open(options(common))),
  'Mechanism.cost': ofFlash('cost', aShape, settled),
  'Mechanism.parameters': {
    signature: [
      aShape,
      {
        ...options({ ...common, device: anything(undefined) }),
        valid: ({ device }) => ({ device }),
        options: undefined as never,
      },
    ],
    call: (_, [size, given]) => flash.parameters(size as never, given as never),
  },
  'Mechanism.decoder': ofFlash('decoder', open(options({ maxLength: positive(8) }, ['maxLength']))),
  ...decoders,
  defineAttention: call(
    options(
      {
        name: text('mine'),
        family: word('exact', 'patterns', 'low-rank', 'kernel-methods', 'hashing', 'mixers'),
        level: word('attention', 'mixer'),
        summary: text(),
        paper: value({ authors: 'A', title: 'T', year: 2020 }),
        formula: text(),
        complexity: text(),
        exactness: word('exact', 'exact on its support', 'unbiased', 'biased', 'learned'),
        relativeToPaper: text(),
        options: object,
        supports: value(flash.definition.supports),
        parameters: callback(() => ({})),
        inputs: object,
        readsInputs: callback(() => false),
        pattern: callback(() => undefined),
        reach: callback(() => undefined),
        refuse: callback(() => []),
        cost: callback(() => ({ multiplyAdds: 0 })),
        choices: callback(() => undefined),
        forward: callback(() => undefined),
        takesHalves: flag(),
        recurrence: value(undefined),
      },
      ['name', 'family', 'summary', 'paper', 'formula', 'complexity', 'exactness', 'options', 'supports', 'cost'],
    ),
  ),
  attendWithin: plain('takes a call that a mechanism has checked'),
  allPairs: call(aShape, flag()),
  costOfPairs: call(aShape, number(16)),
  headPairs: call(open(options({ L: positive(4), S: positive(4) }, ['L', 'S'])), flag()),
  rehearse: call(
    value(flash),
    aShape,
    { ...open(options({ ...common, ...untouched })), required: ['given'] },
    options(
      {
        training: flag(),
        like: value({ width: 4, threads: 1 }),
        countPairs: flag(),
        inputs: flag(),
        mostDispatches: positive(1000),
      },
      ['like'],
    ),
  ),
  dilationSchedule: call(
    positive(4),
    value([{ layer: 0, dilation: 1 }]),
    options({ heads: positive(4), dilated: whole(2) }, ['heads']),
  ),
  windowSchedule: call(positive(4), whole(2), whole(8)),
  integer: call(options({ ...range, default: anything(2) }, ['default', 'help'])),
  number: call(options({ ...range, default: anything(2) }, ['default', 'help'])),
  integers: call(options({ ...range, default: anything([2]) }, ['default', 'help'])),
  flag: call(options({ default: flag(), help: text() }, ['default', 'help'])),
  choice: call(list(text()), options({ default: word('name'), help: text() }, ['default', 'help'])),
  learned: call(shape(2, 2), init),
  drawn: call(shape(2, 2), init),
  constantOf: call(number()),
  normalOf: call(optional(number(1))),
  uniformOf: call(number(1)),
  identity: call(shape(4, 4)),
  orthogonalRows: initialiser((f: (...args: readonly unknown[]) => unknown, args) => f(...args)),
};

/** Every mechanism is called in one way: strangers in its own options, each of which says what it takes. */
export const settingsOf = (one: Mechanism): Row => ({
  signature: [aShape, open(options({ ...supportedBy(one), ...ownOptions(one) }))],
  call: (_, [size, given]) => one.settle(size as never, given as never),
});

function supportedBy({ definition: { supports } }: Mechanism): Readonly<Record<string, Kind>> {
  const { score, lengths, causal: _, ...others } = { ...common, ...untouched };
  return {
    ...others,
    causal: flag(supports.causal === 'only'),
    ...(supports.score && { score }),
    ...(supports.padding && { lengths }),
  };
}

const ownOptions = ({ definition }: Mechanism): Readonly<Record<string, Kind>> =>
  Object.fromEntries(Object.entries(definition.options).map(([name, spec]) => [name, kindOf(spec)]));

function kindOf(spec: OptionSpec): Kind {
  const valid = typeof spec.default === 'function' ? spec.default(sizes) : spec.default;
  switch (spec.type) {
    case 'integer':
      return whole(valid as number);
    case 'number':
      return number(valid as number);
    case 'boolean':
      return flag(valid as boolean);
    case 'choice':
      return word(valid as string, ...spec.choices);
    case 'integers':
      return numbers(valid as number[]);
  }
}
