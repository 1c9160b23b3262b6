import { compile } from '../../codegen/expression/index.js';
import { jsonOutput } from '../json-output.js';
import { causal as causalMask } from '../../masks/index.js';
import {
  mechanisms,
  rehearse,
  type AnyOptions,
  type AttentionShape,
  type Mechanism,
  type OptionSpec,
} from '../../attention/index.js';
import { requirementOf } from '../../attention/options.js';
import { effectiveWeights, mostKeys } from '../../studies/weights.js';
import { printable, styleFor, type Style } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import {
  deviceOption,
  noPositionals,
  seedOption,
  threadsOption,
  withDevice,
  jsonBeforeWords,
} from '../common-options.js';
import { OutputFile } from '../files.js';
import { fold } from '../fold.js';
import * as format from '../../report/format.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { chooseMechanism, setOption } from '../mechanism-options.js';
import { coarser, type Grid, grid, terminalLines } from '../../report/picture/grid.js';
import { png } from '../picture/png.js';
import { svg } from '../../report/picture/svg.js';
import { pluginOption } from '../plugins.js';
import type { Command } from '../command.js';
import { definitions } from '../table.js';
import { described } from './mechanisms.js';

const WHO = 'subquad show';

const options = {
  set: setOption,
  plugin: pluginOption,
  length: { takes: 'integer', value: 'N', range: [1, 4096], help: 'positions of the picture' },
  head: { takes: 'integer', value: 'N', range: [0, 11], default: 0, help: 'head of the picture, of 12' },
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
    'One mechanism: idea, formula, options, cost, paper, and a picture of which keys (right) each query (down) takes.',
  options,
  notes: `Mechanisms: ${mechanisms.map(({ name }) => name).join(', ')}.`,
  examples: [
    [`${WHO} flash`, 'what it is'],
    [`${WHO} standard --causal --length 64`, 'the causal triangle'],
    [`${WHO} chunked:queryChunk=256 --svg chunked.svg --png chunked.png`, 'an option, and files to share'],
  ],
};

const heads = 12;
const headDim = 64;
/** The length at which costs are reported. */
const costLength = 4096;
const terminalCells = 36;

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  const [name, ...rest] = positionals;
  noPositionals(WHO, rest);
  if (name === undefined) throw new UsageError(`${WHO}: name a mechanism; see subquad mechanisms`);
  const { mechanism, options: own } = chooseMechanism(WHO, name, values.set);
  const settings = {
    ...own,
    ...(values.causal ? { causal: true } : {}),
    seed: values.seed,
  };
  const files = {
    svg: values.svg === undefined ? undefined : new OutputFile(WHO, 'svg', values.svg, io),
    png: values.png === undefined ? undefined : new OutputFile(WHO, 'png', values.png, io),
  };
  const json = jsonOutput(WHO, values.json, io);
  const facts = factsOf(mechanism, settings);
  if (json) {
    json.write({ ...described(mechanism), ...facts });
    if (!files.svg && !files.png) return 0;
  }
  const picture = await pictureOf(mechanism, settings, values);
  if (!json) io.out(render(mechanism, facts, picture, styleFor(io, io.outTerminal)));
  const title = `${name}${values.causal ? ', causal' : ''}`;
  files.svg?.write(svg(coarser(picture.grid, 256), title, picture.caption));
  files.png?.write(png(coarser(picture.grid, 512)));
  for (const file of [files.svg, files.png]) if (file) io.err(`wrote ${printable(file.path)}\n`);
  return 0;
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

function factsOf(mechanism: Mechanism, settings: AnyOptions): Facts {
  const shape = shapeOf(costLength);
  const { pairs, multiplyAdds } = mechanism.cost(shape, settings);
  const like = { width: 16, threads: 1 };
  return {
    length: costLength,
    chosen: mechanism.settle(shape, settings).values,
    pairs: pairs ?? null,
    multiplyAdds,
    fullMultiplyAdds: 2 * heads * costLength ** 2 * headDim,
    workspaceBytes: rehearse(mechanism, shape, settings, { like, countPairs: false }).workspaceBytes,
  };
}

interface Picture {
  readonly grid: Grid;
  readonly caption: string;
}

/** The pattern of a mechanism that has one, else its weights on a random walk. */
async function pictureOf(
  mechanism: Mechanism,
  settings: AnyOptions,
  values: {
    readonly length: number | undefined;
    readonly head: number;
    readonly device: string;
    readonly threads: number | undefined;
  },
): Promise<Picture> {
  const { length = 1024, head } = values;
  const pattern = mechanism.pattern(shapeOf(length), settings);
  if (pattern !== undefined) {
    const { causal } = mechanism.settle(shapeOf(length), settings);
    const whole = causal ? pattern.and(causalMask()) : pattern;
    const sees = compile(whole.expression(shapeOf(length)), ['b', 'h', 'q', 'k']);
    return {
      grid: grid(length, length, (q, k) => sees(0, head, q, k)),
      caption: `pairs of ${length} positions, head ${head}: queries down, keys to the right`,
    };
  }
  const size = Math.min(values.length ?? 128, mostKeys);
  return withDevice(WHO, values, async (device) => {
    const { values: weights } = await effectiveWeights(device, mechanism, size, settings);
    let most = 0;
    for (const x of weights) most = Math.max(most, Math.abs(x));
    return {
      // a root, so that small weights are seen beside large ones
      grid: grid(size, size, (q, k) => Math.sqrt(Math.abs(weights[q * size + k]!) / most)),
      caption: `weights of ${size} positions of a random walk, untrained: queries down, keys to the right`,
    };
  });
}

function render(mechanism: Mechanism, facts: Facts, { grid: cells, caption }: Picture, style: Style): string {
  const { definition } = mechanism;
  const { paper, supports } = definition;
  const arxiv = paper.arxiv === undefined ? '' : `, arXiv:${paper.arxiv}`;
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
      ['paper', `${paper.authors} ${paper.year}, ${paper.title}${arxiv}`],
      ...(definition.relativeToPaper === undefined ? [] : [['relative to it', definition.relativeToPaper] as const]),
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
  const entries = Object.entries(definition.options);
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  const list = entries.map(([name, spec]) => optionLine(name.padEnd(width), spec, facts.chosen[name], style));
  return [
    `${style.bold(definition.name)}  ${definition.summary}\n`,
    head,
    style.bold('Options'),
    ...(list.length === 0 ? ['  none'] : list),
    '',
    style.bold(`Cost at ${format.integer(facts.length)} positions, ${heads} heads of ${headDim}`),
    cost,
    style.bold('Picture'),
    ...terminalLines(coarser(cells, Math.min(terminalCells, Math.floor((style.columns - 2) / 2)))),
    style.dim(caption),
    '',
  ].join('\n');
}

function optionLine(name: string, spec: OptionSpec, value: unknown, style: Style): string {
  const shown = Array.isArray(value) ? value.join('+') || 'none' : String(value);
  const line = `  ${style.accent(name)}  ${spec.help}; ${requirementOf(spec).must} ${style.dim(`(here ${shown})`)}`;
  return fold(line, style.columns, name.length + 2).join('\n');
}

export const show: Command = { summary: 'one mechanism: formula, options, cost and its picture', help, run };
