import { Tensor } from '../../../src/index.js';
import {
  EncoderDecoder,
  readConfig,
  Transformer,
  TransformerXl,
  type adaptersOf,
  type beamSearch,
  type generate,
  type generateRows,
  type generateText,
  type mergeAdapters,
  type openSession,
  type Session,
  type TextSession,
} from '../../../src/models/index.js';
import {
  callback,
  either,
  flag,
  list,
  number,
  numbers,
  open,
  optional,
  options,
  positive,
  text,
  value,
  whole,
  word,
  type Kind,
  type World,
} from '../kinds.js';
import type { Row } from '../row.js';

const sizes = { vocabulary: 8, length: 4, layers: 1, width: 4, heads: 2, feedForward: { hidden: 4 } };
const decoder = (): Transformer => new Transformer(readConfig(sizes));
const both = (): EncoderDecoder => new EncoderDecoder(readConfig({ ...sizes, kind: 'encoder-decoder' }));
const recurrent = (): TransformerXl => new TransformerXl(readConfig({ ...sizes, kind: 'transformer-xl' }));
type Model = Transformer | TransformerXl | EncoderDecoder;

/** In place of what each call makes. */
const [aModel, aSession, aHeader, theTensors] = [
  Symbol('model'),
  Symbol('session'),
  Symbol('header'),
  Symbol('tensors'),
];

const withModel = async (make: () => Model, { device }: World, body: (model: Model) => unknown): Promise<unknown> => {
  const model = make();
  try {
    model.initialise({ device, seed: 1 });
    return await body(model);
  } finally {
    model.dispose();
  }
};
/** Two rows that have tokens, of a model with values. */
const withSession = (make: () => Model, world: World, body: (session: TextSession) => unknown): Promise<unknown> =>
  withModel(make, world, async (model) => {
    const session = model.session({ maxLength: 8, rows: 2 });
    try {
      session.step([[1, 2], [3]]).dispose();
      return await body(session);
    } finally {
      session.dispose();
    }
  });

type Method = (...args: readonly unknown[]) => unknown;
const methodsOf = (of: unknown): Readonly<Record<string, Method>> => of as never;
/** The result, unless it is a session, which is gone with its model. */
const closed = (result: unknown): unknown => {
  if (result === undefined || result instanceof Tensor || !('step' in Object(result))) return result;
  (result as TextSession).dispose();
  return undefined;
};

const own = { maxLength: positive(8), rows: positive(2) };
const none = value(undefined);
const given = (of: Kind): Kind => ({ ...of, valid: () => undefined });
const cached = options(
  {
    ...own,
    cache: word('fixed', 'ring', 'sink'),
    window: given(positive()),
    sinks: given(positive()),
    cacheDtype: word('f32', 'f16', 'bf16'),
    sources: none,
    sourceGlobals: none,
  },
  ['maxLength'],
);
const memory = options({ ...own, cache: none, window: none, sinks: none, cacheDtype: none }, ['maxLength']);
const state = open(
  options({ header: value(aHeader), tensors: value(theTensors, (x) => x instanceof Map && x.size === 0) }, [
    'header',
    'tensors',
  ]),
);

const signal = value(new AbortController().signal, (x) => x instanceof AbortSignal);
const drawn = {
  tokens: positive(2),
  temperature: number(),
  topK: whole(2),
  topP: number(0.5),
  minP: number(0.1),
  repetitionPenalty: number(1.5),
  presencePenalty: number(),
  frequencyPenalty: number(),
  stopTokens: numbers([7]),
  stopping: callback(() => false),
  signal,
};
const until = callback(() => false);
const coder = { encode: () => [1, 2], decoder: () => ({ push: () => 'a', end: () => '' }) };

/** Methods of a session that `name` gives. */
const ofSession = (name: string, make: () => Model): Readonly<Record<string, Row>> => {
  const row = (method: string, ...signature: readonly Kind[]): Readonly<Record<string, Row>> => ({
    [`${name}.${method}`]: {
      signature,
      call: (_, args, world) =>
        withSession(make, world, async (session) => closed(await methodsOf(session)[method]!(...args))),
    },
  });
  return {
    ...row('step', list(numbers([1]))),
    ...row('fork', optional(numbers([1, 0, 1]))),
    ...row('truncate', either(numbers([2, 0]), whole())),
    ...row('export'),
    ...row('reset'),
    ...row('dispose'),
    [`${name}.import`]: {
      signature: [state],
      call: (_, [from], world) =>
        withSession(make, world, async (session) => {
          const { header, tensors } = await session.export();
          const put = new Map<unknown, unknown>([
            [aHeader, header],
            [theTensors, tensors],
          ]);
          const filled = Object.entries(Object(from) as object).map(([key, one]) => [key, put.get(one) ?? one]);
          await session.import(Object.hasOwn(Object(from), 'header') ? Object.fromEntries(filled) : (from as never));
        }),
    },
  };
};

export const sessions: Readonly<Record<string, Row>> = {
  adaptersOf: {
    signature: [value(aModel)],
    call: (f: typeof adaptersOf, [of], world) =>
      withModel(decoder, world, (model) => void f((of === aModel ? model : of) as never)),
  },
  mergeAdapters: {
    signature: [value(aModel)],
    call: (f: typeof mergeAdapters, [of], world) =>
      withModel(decoder, world, (model) => f((of === aModel ? model : of) as never)),
  },
  openSession: {
    signature: [value(aModel), cached],
    call: (f: typeof openSession, [of, how], world) =>
      withModel(decoder, world, (model) => closed(f((of === aModel ? model : of) as never, how as never))),
  },
  Session: {
    signature: [value(aModel), cached],
    call: (f: typeof Session, [of, how], world) =>
      withModel(decoder, world, (model) => closed(new f((of === aModel ? model : of) as never, how as never))),
  },
  ...ofSession('Session', decoder),
  'Transformer.session': {
    signature: [cached],
    call: (_, [how], world) => withModel(decoder, world, (model) => closed(model.session(how as never))),
  },
  'EncoderDecoder.session': {
    signature: [options({ ...cached.options, sources: list(numbers([1])) }, ['maxLength'])],
    call: (_, [how], world) => withModel(both, world, (model) => closed(model.session(how as never))),
  },
  'TransformerXl.session': {
    signature: [memory],
    call: (_, [how], world) => withModel(recurrent, world, (model) => closed(model.session(how as never))),
  },
  ...ofSession('TransformerXl.session()', recurrent),
  generate: {
    signature: [
      value(aSession),
      options({ prompt: numbers([1, 2]), seed: whole(1), until, ...drawn }, ['prompt', 'tokens']),
    ],
    call: (f: typeof generate, [of, how], world) =>
      withSession(decoder, world, async (session) => {
        const one = session.fork([0]);
        try {
          for await (const token of f((of === aSession ? one : of) as never, how as never)) void token;
        } finally {
          one.dispose();
        }
      }),
  },
  generateRows: {
    signature: [
      value(aSession),
      options({ prompts: list(numbers([1, 2])), seed: either(numbers([1, 2]), whole()), until, ...drawn }, [
        'prompts',
        'tokens',
      ]),
    ],
    call: (f: typeof generateRows, [of, how], world) =>
      withSession(decoder, world, async (session) => {
        for await (const tokens of f((of === aSession ? session : of) as never, how as never)) void tokens;
      }),
  },
  generateText: {
    signature: [
      value(aSession),
      options(
        {
          prompt: text(),
          tokeniser: value(coder),
          stop: value(['b'], (x) => Array.isArray(x) && x.every((one) => typeof one === 'string' && one !== '')),
          seed: whole(1),
          ...drawn,
        },
        ['prompt', 'tokeniser', 'tokens'],
      ),
    ],
    call: (f: typeof generateText, [of, how], world) =>
      withSession(decoder, world, async (session) => {
        const one = session.fork([0]);
        try {
          for await (const piece of f((of === aSession ? one : of) as never, how as never)) void piece;
        } finally {
          one.dispose();
        }
      }),
  },
  beamSearch: {
    signature: [
      value(aSession),
      options(
        {
          prompt: numbers([1, 2]),
          tokens: positive(2),
          beams: positive(2),
          lengthPenalty: number(),
          earlyStopping: flag(),
          stopTokens: numbers([7]),
          results: positive(2),
          signal,
        },
        ['prompt', 'tokens', 'beams'],
      ),
    ],
    call: (f: typeof beamSearch, [of, how], world) =>
      withSession(decoder, world, async (session) => {
        const one = session.fork([0]);
        try {
          await f((of === aSession ? one : of) as never, how as never);
        } finally {
          one.dispose();
        }
      }),
  },
};
