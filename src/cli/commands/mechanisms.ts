import { families, knownMechanisms, type Mechanism, type OptionSpecs, type Paper } from '../../attention/index.js';
import { knownFeedForwards } from '../../nn/feed-forward/registry.js';
import type { KindDefinition } from '../../nn/kind.js';
import { knownMixers } from '../../nn/mixers/registry.js';
import { jsonOutput } from '../json-output.js';
import { styleFor, type Style } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { noPositionals, jsonBeforeWords } from '../common-options.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { definitions, table } from '../table.js';
import { describedStacks, stackLines, stacksMarkdown } from './preset-list.js';

const WHO = 'subquad mechanisms';

const options = {
  family: { takes: 'choices', choices: families, default: families, help: 'only these families' },
  plugin: pluginOption,
  json: { ...jsonBeforeWords, help: 'print JSON instead, with options, formulas and papers, or write it to FILE' },
  markdown: { takes: 'nothing', help: 'print a Markdown table instead, as in the README' },
} as const;

const help: HelpText = {
  usage: `${WHO} [options]`,
  about:
    'Every mechanism of the registry, and what else layers are made of: what it takes, how its time grows, how it relates to softmax attention.',
  options,
  examples: [
    [WHO, 'the table'],
    [`${WHO} --family patterns,low-rank`, 'two families'],
    [`${WHO} --json | jq '.[].name'`, 'for programs'],
  ],
};

function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  noPositionals(WHO, positionals);
  const chosen = knownMechanisms().filter(({ definition }) => values.family.includes(definition.family));
  if (values.json !== undefined && values.markdown)
    throw new UsageError(`${WHO}: --json and --markdown exclude each other.`);
  // what else a layer has is of no family
  const layers = values.family.length === families.length ? layerKinds() : [];
  if (values.markdown) {
    io.data(`${markdown(chosen)}${layers.length > 0 ? `\n${layersMarkdown(layers)}\n${stacksMarkdown()}` : ''}`);
  } else if (values.json !== undefined) {
    const stacks = layers.length > 0 ? describedStacks() : [];
    jsonOutput(WHO, values.json, io)?.write([...chosen.map(described), ...layers.map(describedLayer), ...stacks]);
  } else io.out(render(chosen, styleFor(io, io.outTerminal)));
  return Promise.resolve(0);
}

/** A kind of branch of a layer, beside attention by a mechanism. */
interface LayerKind {
  readonly level: 'mixer' | 'feed-forward';
  readonly definition: KindDefinition<never> & { readonly supports?: object };
}

/** Mixers, then feed-forward layers. */
export const layerKinds = (): readonly LayerKind[] => [
  ...knownMixers().map(({ definition }) => ({ level: 'mixer', definition }) as const),
  ...knownFeedForwards().map(({ definition }) => ({ level: 'feed-forward', definition }) as const),
];

/** Options as plain data; defaults that depend on the shape are null. */
const plainOptions = (options: OptionSpecs): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(options).map(([option, spec]) => [
      option,
      { ...spec, default: typeof spec.default === 'function' ? null : spec.default },
    ]),
  );

function describedLayer({ level, definition }: LayerKind): Readonly<Record<string, unknown>> {
  const { name, summary, formula, relativeToPaper = null, supports = {}, options, paper } = definition;
  return { name, level, summary, formula, relativeToPaper, supports, options: plainOptions(options), paper };
}

/** What the definition says, as plain data. */
export function described({ definition }: Mechanism): Readonly<Record<string, unknown>> {
  const { name, family, level = 'attention', summary, paper, formula, complexity, exactness, supports } = definition;
  return {
    name,
    family,
    level,
    summary,
    formula,
    complexity,
    exactness,
    relativeToPaper: definition.relativeToPaper ?? null,
    supports,
    options: plainOptions(definition.options),
    inputs: definition.inputs ?? {},
    paper,
  };
}

/** A table for documents, a line for each mechanism. */
export function markdown(chosen: readonly Mechanism[]): string {
  const mark = (does: boolean): string => (does ? '✓' : '–');
  const lines = chosen.map(({ definition: { name, complexity, exactness, supports, paper } }) => {
    const { causal, cross, padding, groupedHeads, decode } = supports;
    const cells = [
      `\`${name}\``,
      complexity,
      exactness,
      causal === 'only' ? 'only' : mark(causal),
      mark(cross),
      mark(padding),
      mark(groupedHeads),
      decode === false ? '–' : decode,
      sourceOf(paper),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = ['mechanism', 'time', 'exactness', 'causal', 'cross', 'padding', 'grouped heads', 'decode', 'paper'];
  return `| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|\n${lines.join('\n')}\n`;
}

const sourceOf = ({ authors, year, arxiv }: Paper): string =>
  `${authors} ${year}${arxiv === undefined ? '' : ` ([${arxiv}](https://arxiv.org/abs/${arxiv}))`}`;

/** A table of what layers have beside attention, a line each. */
export function layersMarkdown(kinds: readonly LayerKind[]): string {
  const lines = kinds.map(
    ({ level, definition: { name, summary, paper } }) => `| \`${name}\` | ${level} | ${summary} | ${sourceOf(paper)} |`,
  );
  return `| layer | level | idea | paper |\n|---|---|---|---|\n${lines.join('\n')}\n`;
}

function render(chosen: readonly Mechanism[], style: Style): string {
  const yes = (does: boolean): string => (does ? 'yes' : style.dim('–'));
  const rows = chosen.map(({ definition }) => definition);
  const text = table(
    [
      { title: 'mechanism', cell: ({ name }) => style.bold(name) },
      { title: 'family', spare: 4, cell: ({ family }) => family },
      { title: 'time', spare: 1, cell: ({ complexity }) => complexity },
      { title: 'exactness', cell: ({ exactness }) => exactness },
      { title: 'causal', spare: 2, cell: ({ supports: { causal } }) => (causal === 'only' ? 'only' : yes(causal)) },
      { title: 'cross', spare: 7, cell: ({ supports }) => yes(supports.cross) },
      { title: 'padding', spare: 6, cell: ({ supports }) => yes(supports.padding) },
      { title: 'grouped', spare: 8, cell: ({ supports }) => yes(supports.groupedHeads) },
      { title: 'decode', spare: 3, cell: ({ supports: { decode } }) => (decode === false ? style.dim('–') : decode) },
      { title: 'paper', spare: 5, cell: ({ paper }) => `${paper.authors} ${paper.year}` },
    ],
    rows,
    style,
    ({ family }) => family,
  );
  return `${text}\n${chosen.length} mechanisms; subquad show NAME explains one.\n\n${layerLists(style)}\n${stackList(style)}`;
}

const titles = {
  mixer: 'Mixers of layers, "mixer": NAME in a configuration',
  'feed-forward': 'Feed-forward layers, "feedForward": NAME in a configuration',
};

/** What else a layer of a model may be. */
function layerLists(style: Style): string {
  const kinds = layerKinds();
  return (['mixer', 'feed-forward'] as const)
    .map((level) => {
      const own = kinds.filter((kind) => kind.level === level);
      const list = own.map(({ definition: { name, summary } }) => [name, summary] as const);
      return `${style.bold(titles[level])}\n${definitions(list, style)}`;
    })
    .join('\n');
}

const stackList = (style: Style): string =>
  `${style.bold('Whole stacks, train --preset NAME')}\n${definitions(stackLines(), style)}`;

export const mechanisms: Command = { summary: 'the table of all mechanisms', help, run };
