import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { readGolden } from '../../pretrained/golden.js';
import { loadPretrained } from '../../pretrained/load.js';
import type { SourceProgress } from '../../pretrained/source.js';
import { verifyPretrained, type VerifiedRow } from '../../pretrained/verify.js';
import type { Device } from '../../devices/index.js';
import * as format from '../../report/format.js';
import { openSafetensors } from '../../train/checkpoint/index.js';
import { printable, type Style, styleFor } from '../ansi.js';
import { parseOptions } from '../arguments.js';
import type { Command } from '../command.js';
import { deviceOption, jsonOption, threadsOption, withDevice } from '../common-options.js';
import type { HelpText } from '../help.js';
import { type Io, UsageError } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { downloading, modelSource, notesToShow, publishedOptions } from '../published.js';
import { Progress } from '../progress.js';
import { table } from '../table.js';

const WHO = 'subquad verify';

const options = {
  golden: {
    takes: 'text',
    value: 'FILE',
    help: 'tensors in.NAME and out.NAME; default golden.safetensors in the folder of the model',
  },
  ...publishedOptions,
  markdown: { takes: 'nothing', help: 'print a table of the models for a README' },
  device: deviceOption,
  threads: threadsOption,
  json: { ...jsonOption, help: 'write all numbers to FILE, or else to stdout instead' },
} as const;

const help: HelpText = {
  usage: `${WHO} MODEL… [options]`,
  about:
    'Whether a published model gives here what it gave where it was published. MODEL is a folder in Hugging Face layout; the golden file\n' +
    'has its inputs (in.input_ids, in.attention_mask, …) and what came out (out.logits, out.hidden_states.0, …), such as\n' +
    'safetensors.torch.save_file writes them in Python. Each output but attention weights, which no layer forms, is compared at\n' +
    'real tokens. Exit code 1: one is beyond its budget.',
  options,
  examples: [
    [`${WHO} models/bert --golden bert-outputs.safetensors`, 'error and budget of each output'],
    [`${WHO} models/* --markdown`, 'models with golden.safetensors in their folders, as a table'],
  ],
  notes:
    'The budget is 2·(plain + ε·max|out|), ε = 2^-24. plain is what plain float32 code is off by; it is measured: the last bit of half of\n' +
    'all weights is turned over, and the largest change of the output taken.',
};

interface Checked {
  readonly model: string;
  readonly title: string;
  readonly className: string;
  readonly parameters: number;
  readonly rows: readonly VerifiedRow[];
  readonly weights: readonly string[];
  readonly within: boolean;
  readonly notes: readonly string[];
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseOptions(WHO, options, argv);
  if (positionals.length === 0) throw new UsageError(`${WHO}: name a model, a folder in Hugging Face layout.`);
  if (positionals.length > 1 && values.golden !== undefined) {
    throw new UsageError(`${WHO}: --golden is of one model; leave it out, and each has its own golden.safetensors.`);
  }
  const models = positionals.map((path) => {
    const golden = values.golden === undefined ? join(path, 'golden.safetensors') : values.golden;
    if (values.golden === undefined && !existsSync(resolve(io.cwd, golden))) {
      const model = resolve(io.cwd, path);
      const bare = existsSync(model) && !existsSync(join(model, 'config.json'));
      throw new UsageError(
        `${WHO}: "${path}" has ${bare ? 'no config.json, so it is no published model, and ' : ''}no golden.safetensors; ` +
          (bare ? 'name a folder in Hugging Face layout.' : 'name one with --golden FILE.'),
      );
    }
    return { path, golden };
  });
  const json = jsonOutput(WHO, values.json, io);
  const style = styleFor(io, io.outTerminal);
  const progress = new Progress(io);
  const found = await withDevice(WHO, values, async (device) => {
    const all: Checked[] = [];
    for (const { path, golden } of models) {
      progress.show(path);
      const loading = {
        ...(values.as && { as: values.as }),
        ignoreFields: values['ignore-field'],
        onProgress: downloading(progress),
      };
      all.push(
        await check(device, {
          name: path,
          path: modelSource(path, io),
          golden: resolve(io.cwd, golden),
          loading,
        }),
      );
    }
    return all;
  }).finally(() => progress.clear());
  if (json?.standard !== true) {
    if (values.markdown) io.data(markdown(found));
    else for (const one of found) io.out(render(one, style));
  }
  json?.write(found.length === 1 ? found[0] : found);
  return found.every(({ within }) => within) ? 0 : 1;
}

interface Asked {
  readonly name: string;
  readonly path: string;
  readonly golden: string;
  readonly loading: {
    readonly as?: string;
    readonly ignoreFields: readonly string[];
    readonly onProgress: (progress: SourceProgress) => void;
  };
}

async function check(device: Device, { name, path, golden, loading }: Asked): Promise<Checked> {
  const loaded = await loadPretrained(path, { device, ...loading, tokenizer: false });
  try {
    const file = await openSafetensors(golden);
    try {
      const { rows, weights, within } = await verifyPretrained(loaded, await readGolden(file));
      const parameters = [...loaded.model.stateDict().values()].reduce((sum, { size }) => sum + size, 0);
      const { family, cls, notes } = loaded;
      return { model: name, title: family.title, className: cls.name, parameters, rows, weights, within, notes };
    } finally {
      await file.close();
    }
  } finally {
    loaded.model.dispose();
  }
}

const exponential = (x: number | null): string => (x === null ? '–' : x === 0 ? '0' : x.toExponential(1));

function render({ model, title, className, parameters, rows, weights, within, notes }: Checked, style: Style): string {
  const text = table<VerifiedRow>(
    [
      { title: 'output', cell: ({ name }) => name },
      { title: 'numbers', spare: 1, align: 'right', cell: ({ count }) => format.integer(count) },
      { title: 'largest', spare: 2, align: 'right', cell: ({ largest }) => largest.toPrecision(3) },
      { title: 'error', align: 'right', cell: ({ error }) => exponential(error) },
      { title: 'budget', align: 'right', cell: ({ budget }) => exponential(budget) },
      { title: '', cell: (row) => (row.within ? style.good('within') : style.bad(row.reason ?? 'beyond')) },
    ],
    rows,
    style,
  );
  const beyond = rows.filter((row) => !row.within).length;
  return [
    `${style.bold(printable(model))}: ${title}, ${className}, ${format.integer(parameters)} parameters`,
    ...notesToShow(notes).map((note) => style.dim(printable(note))),
    '',
    text,
    within
      ? `${format.count(rows.length, 'output')}, all within the budget of float32\n`
      : `${style.bad(`${beyond} of ${format.count(rows.length, 'output')} beyond the budget`)}\n`,
    ...(weights.length > 0
      ? [style.dim(`Not compared: ${weights.join(', ')}; no layer forms attention weights.\n`)]
      : []),
    '',
  ].join('\n');
}

/** A row per model: its worst output by the share of the budget that it takes. */
function markdown(found: readonly Checked[]): string {
  const lines = found.map(({ model, title, className, rows, within }) => {
    const worst = [...rows].sort((a, b) => share(b) - share(a))[0]!;
    const cells = [
      title,
      `\`${className}\``,
      `\`${basename(model)}\``,
      String(rows.length),
      `${exponential(worst.error)} (\`${worst.name}\`)`,
      exponential(worst.budget),
      within ? 'yes' : '**no**',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| family | class | model | outputs | worst error | its budget | within |',
    '|---|---|---|--:|--:|--:|---|',
    ...lines,
    '',
  ].join('\n');
}

const share = ({ error, budget }: VerifiedRow): number =>
  error === null ? Infinity : budget === 0 ? 0 : error / budget;

export const verify: Command = {
  summary: 'whether a published model gives here what it gave where it was published',
  help,
  run,
};
