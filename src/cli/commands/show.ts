import { compile } from '../../codegen/expression/index.js';
import { feedForwards, mixers } from '../../models/index.js';
import type { FeedForwardKind, MixerKind } from '../../nn/index.js';
import { jsonOutput } from '../json-output.js';
import { causal as causalMask } from '../../masks/index.js';
import {
  knownMechanisms,
  mechanisms,
  rehearse,
  type AnyOptions,
  type AttentionShape,
  type Mechanism,
} from '../../attention/index.js';
import { printable, styleFor, type Style } from '../ansi.js';
import { parseOptions, type Values } from '../arguments.js';
import { deviceOption, jsonBeforeWords, noPositionals, seedOption, threadsOption } from '../common-options.js';
import { OutputFile } from '../files.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { chooseMechanism, optionsOfKind, setOption } from '../mechanism-options.js';
import { beside, coarser, grid } from '../../report/picture/grid.js';
import { png } from '../picture/png.js';
import { svg } from '../../report/picture/svg.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { definitions } from '../table.js';
import { described } from './mechanisms.js';
import { feedForwardFacts, feedForwardNamed, feedForwardText } from './show-feed-forward.js';
import { mixerFacts, mixerNamed, mixerPicture, mixerText } from './show-mixer.js';
import { optionLines, pictureLines, sources, type Picture } from './show-picture.js';
import { textPicture } from './show-text.js';

const WHO = 'subquad show';

const options = {
  set: setOption,
  plugin: pluginOption,
  length: {
    takes: 'integer',
    value: 'N',
    range: [1, 65536],
    help: 'positions of the picture; of a pattern at most 4096',
  },
  head: {
    takes: 'integer',
    value: 'N',
    range: [0, 11],
    default: 0,
    help: 'head of the picture: of 12, on a text of those of the model',
  },
  text: {
    takes: 'text',
    value: 'FILE',
    help: 'text of the picture, where the data decides; default the bundled novel',
  },
  causal: { takes: 'nothing', help: 'the causal form' },
  svg: { takes: 'text', value: 'FILE', help: 'write the picture as SVG' },
  png: { takes: 'text', value: 'FILE', help: 'write the picture as PNG' },
  seed: seedOption,
  device: deviceOption,
  threads: threadsOption,
  json: jsonBeforeWords,
} as const;

const help: HelpText = {
  usage: `${WHO} NAME[:OPTION=VALUE…] [options]`,
  about:
    'One mechanism, mixer or feed-forward layer: idea, formula, options, cost, paper, and a picture of which keys (right) each query (down) takes, on a text where the data decides.',
  options,
  notes: `Mechanisms: ${mechanisms.map(({ name }) => name).join(', ')}.\nMixers of layers: ${mixers.map(({ name }) => name).join(', ')}.\nFeed-forward layers: ${feedForwards.map(({ name }) => name).join(', ')}.`,
  examples: [
    [`${WHO} flash`, 'what it is'],
    [`${WHO} standard --causal --length 64`, 'the causal triangle'],
    [`${WHO} hyper --text notes.txt --svg hyper.svg`, 'sorted blocks and samples of a text of yours'],
    [`${WHO} chunked:queryChunk=256 --svg chunked.svg --png chunked.png`, 'an option, and files to share'],
  ],
};

const heads = 12;
const headDim = 64;
/** The length at which costs are reported, unless the options fit the asked one alone. */
const costLength = 4096;

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const [name, ...rest] = positionals;
  noPositionals(WHO, rest);
  if (name === undefined) throw new UsageError(`${WHO}: name a mechanism; see subquad mechanisms`);
  const mixer = mixerNamed(name.split(':')[0]!);
  const known = knownMechanisms().some((one) => one.name === mixer?.name);
  const feeding = known || mixer ? undefined : feedForwardNamed(name.split(':')[0]!);
  const subject = feeding
    ? ofFeedForward(feeding, name, values)
    : mixer && !known
      ? ofMixer(mixer, name, values)
      : ofMechanism(name, values, io);
  const files = {
    svg: values.svg === undefined ? undefined : new OutputFile(WHO, 'svg', values.svg, io),
    png: values.png === undefined ? undefined : new OutputFile(WHO, 'png', values.png, io),
  };
  const json = jsonOutput(WHO, values.json, io);
  if (json) {
    json.write(subject.facts());
    if (!files.svg && !files.png) return 0;
  }
  const style = styleFor(io, io.outTerminal);
  if (subject.picture === undefined) {
    if (!json) io.out(subject.text(style).join('\n'));
    return 0;
  }
  const picture = await subject.picture();
  if (!json) io.out([...subject.text(style), ...pictureLines(picture, style)].join('\n'));
  const title = `${name}${values.causal ? ', causal' : ''}`;
  const { panels, caption, text } = picture;
  const drawn = panels.map((panel) => ({ ...panel, grid: coarser(panel.grid, 256) }));
  files.svg?.write(svg(drawn, title, caption, text));
  files.png?.write(png(beside(panels.map(({ grid: cells }) => coarser(cells, 512)))));
  for (const file of [files.svg, files.png]) if (file) io.err(`wrote ${printable(file.path)}\n`);
  return 0;
}

/** What is shown. */
interface Subject {
  /** As plain data. */
  readonly facts: () => Readonly<Record<string, unknown>>;
  readonly text: (style: Style) => readonly string[];
  /** Undefined where there is nothing to draw: what works on each row by itself. */
  readonly picture: (() => Promise<Picture>) | undefined;
}

type Asked = Values<typeof options>;

function ofMechanism(name: string, values: Asked, io: Io): Subject {
  const { mechanism, options: own } = chooseMechanism(WHO, name, values.set);
  const settings = { ...own, ...(values.causal ? { causal: true } : {}), seed: values.seed };
  const facts = factsOf(mechanism, settings, values.length);
  return {
    facts: () => ({ ...described(mechanism), ...facts }),
    text: (style) => render(mechanism, facts, style),
    picture: () => pictureOf(mechanism, settings, values, io),
  };
}

function ofMixer(kind: MixerKind, name: string, values: Asked): Subject {
  const own = optionsOfKind(WHO, kind, name, values.set);
  const facts = mixerFacts(kind, own, values.causal);
  const { summary, formula, supports, paper } = kind.definition;
  return {
    facts: () => ({ name: kind.name, level: 'mixer', summary, formula, supports, paper, ...facts }),
    text: (style) => mixerText(kind, facts, style),
    picture: () => mixerPicture(WHO, kind, own, values),
  };
}

function ofFeedForward(kind: FeedForwardKind, name: string, values: Asked): Subject {
  for (const what of ['svg', 'png', 'text', 'length'] as const) {
    if (values[what] === undefined) continue;
    throw new UsageError(
      `${WHO}: --${what}: a feed-forward layer has no picture, as rows do not see each other; leave it out`,
    );
  }
  const own = optionsOfKind(WHO, kind, name, values.set);
  const facts = feedForwardFacts(kind, own, values.causal);
  const { summary, formula, supports = {}, paper } = kind.definition;
  return {
    facts: () => ({ name: kind.name, level: 'feed-forward', summary, formula, supports, paper, ...facts }),
    text: (style) => feedForwardText(kind, facts, style),
    picture: undefined,
  };
}

const shapeOf = (length: number): AttentionShape => ({
  B: 1,
  H: heads,
  G: heads,
  L: length,
  S: length,
  D: headDim,
  E: headDim,
});

interface Facts {
  readonly length: number;
  /** Option values at that length. */
  readonly chosen: Readonly<Record<string, unknown>>;
  readonly pairs: number | null;
  readonly multiplyAdds: number;
  /** Multiply-adds of attention over all pairs. */
  readonly fullMultiplyAdds: number;
  readonly workspaceBytes: number;
}

function factsOf(mechanism: Mechanism, settings: AnyOptions, asked: number | undefined): Facts {
  try {
    return factsAt(costLength, mechanism, settings);
  } catch (error) {
    if (asked === undefined) throw error;
    return factsAt(asked, mechanism, settings);
  }
}

function factsAt(length: number, mechanism: Mechanism, settings: AnyOptions): Facts {
  const shape = shapeOf(length);
  const { pairs, multiplyAdds } = mechanism.cost(shape, settings);
  const like = { width: 16, threads: 1 };
  return {
    length,
    chosen: mechanism.settle(shape, settings).values,
    pairs: pairs ?? null,
    multiplyAdds,
    fullMultiplyAdds: 2 * heads * length ** 2 * headDim,
    workspaceBytes: rehearse(mechanism, shape, settings, { like, countPairs: false }).workspaceBytes,
  };
}

/** The longest picture of a pattern, all of whose pairs are looked at. */
const longestPattern = 4096;

/** The pattern of a mechanism that has one, else its weights on a text. */
async function pictureOf(mechanism: Mechanism, settings: AnyOptions, values: Asked, io: Io): Promise<Picture> {
  const { length = 1024, head } = values;
  const pattern = mechanism.definition.pattern && mechanism.pattern(shapeOf(length), settings);
  if (pattern === undefined) return textPicture(WHO, mechanism, settings, values, io);
  if (values.text !== undefined) {
    throw new UsageError(`${WHO}: --text: the pattern of ${mechanism.name} is the same for every text; leave it out`);
  }
  if (length > longestPattern) {
    throw new UsageError(`${WHO}: --length: a pattern is drawn of at most ${longestPattern} positions; got ${length}`);
  }
  const { causal } = mechanism.settle(shapeOf(length), settings);
  const whole = causal ? pattern.and(causalMask()) : pattern;
  const sees = compile(whole.expression(shapeOf(length)), ['b', 'h', 'q', 'k']);
  return {
    panels: [{ grid: grid(length, length, (q, k) => sees(0, head, q, k)), title: '' }],
    caption: `pairs of ${length} positions, head ${head}: queries down, keys to the right`,
    groups: [],
    weights: false,
  };
}

function render(mechanism: Mechanism, facts: Facts, style: Style): readonly string[] {
  const { definition } = mechanism;
  const { supports } = definition;
  const does = [
    supports.causal === 'only' ? 'causal only' : supports.causal && 'causal',
    supports.cross && 'cross-attention',
    supports.padding && 'padding',
    supports.groupedHeads && 'grouped heads',
    supports.score && 'score changes',
    supports.decode !== false && `decoding (${supports.decode})`,
  ].filter((one) => one !== false);
  const saving = facts.fullMultiplyAdds / facts.multiplyAdds;
  const head = definitions(
    [
      ['formula', definition.formula],
      ['time', definition.complexity],
      ['exactness', definition.exactness],
      ['takes', does.length === 0 ? 'one sequence, bidirectional' : does.join(', ')],
      ...sources(definition),
    ],
    style,
  );
  const cost = definitions(
    [
      ...(facts.pairs === null ? [] : [['pairs', format.integer(facts.pairs)] as const]),
      ['multiply-adds', `${format.integer(facts.multiplyAdds)}, full attention over this: ${saving.toFixed(2)}`],
      ['workspace', format.bytes(facts.workspaceBytes)],
    ],
    style,
  );
  return [
    `${style.bold(definition.name)}  ${definition.summary}\n`,
    head,
    ...optionLines(definition.options, facts.chosen, style),
    style.bold(`Cost at ${format.integer(facts.length)} positions, ${heads} heads of ${headDim}`),
    cost,
  ];
}

export const show: Command = { summary: 'one mechanism: formula, options, cost and its picture', help, run };
