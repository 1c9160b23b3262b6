import { families, knownMechanisms, type Mechanism } from '../../attention/index.js';
import { mixers } from '../../models/index.js';
import { jsonOutput } from '../json-output.js';
import { styleFor, type Style } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import { noPositionals, jsonBeforeWords } from '../common-options.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { definitions, table } from '../table.js';

const WHO = 'subquad mechanisms';

const options = {
  family: { takes: 'choices', choices: families, default: families, help: 'only these families' },
  plugin: pluginOption,
  json: { ...jsonBeforeWords, help: 'print JSON instead, with options, formulas and papers, or write it to FILE' },
  markdown: { takes: 'nothing', help: 'print a Markdown table instead, as in the README' },
} as const;

const help: HelpText = {
  usage: `${WHO} [options]`,
  about: 'Every mechanism of the registry: what it takes, how its time grows, how it relates to softmax attention.',
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
  if (values.markdown) io.data(markdown(chosen));
  else if (values.json !== undefined) jsonOutput(WHO, values.json, io)?.write(chosen.map(described));
  else io.out(render(chosen, styleFor(io, io.outTerminal)));
  return Promise.resolve(0);
}

/** What the definition says, as plain data; defaults that depend on the shape are null. */
export function described({ definition }: Mechanism): Readonly<Record<string, unknown>> {
  const { name, family, level = 'attention', summary, paper, formula, complexity, exactness, supports } = definition;
  const specs = Object.entries(definition.options).map(([option, spec]) => [
    option,
    { ...spec, default: typeof spec.default === 'function' ? null : spec.default },
  ]);
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
    options: Object.fromEntries(specs),
    inputs: definition.inputs ?? {},
    paper,
  };
}

/** A table for documents, a line for each mechanism. */
export function markdown(chosen: readonly Mechanism[]): string {
  const mark = (does: boolean): string => (does ? '✓' : '–');
  const lines = chosen.map(({ definition: { name, complexity, exactness, supports, paper } }) => {
    const { causal, cross, padding, groupedHeads, decode } = supports;
    const source = paper.arxiv === undefined ? '' : ` ([${paper.arxiv}](https://arxiv.org/abs/${paper.arxiv}))`;
    const cells = [
      `\`${name}\``,
      complexity,
      exactness,
      causal === 'only' ? 'only' : mark(causal),
      mark(cross),
      mark(padding),
      mark(groupedHeads),
      decode === false ? '–' : decode,
      `${paper.authors} ${paper.year}${source}`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = ['mechanism', 'time', 'exactness', 'causal', 'cross', 'padding', 'grouped heads', 'decode', 'paper'];
  return `| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|\n${lines.join('\n')}\n`;
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
  return `${text}\n${chosen.length} mechanisms; subquad show NAME explains one.\n\n${mixerList(style)}`;
}

/** What else a layer of a model may be. */
function mixerList(style: Style): string {
  const list = mixers.map(({ definition: { name, summary } }) => [name, summary] as const);
  return `${style.bold('Mixers of layers, "mixer": NAME in a configuration')}\n${definitions(list, style)}`;
}

export const mechanisms: Command = { summary: 'the table of all mechanisms', help, run };
