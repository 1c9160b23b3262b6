import { mixer } from '../../models/index.js';
import type { MixerKind, MixerSizes } from '../../nn/index.js';
import { reasonAgainstMixer } from '../../nn/mixers/registry.js';
import * as format from '../../report/format.js';
import { grid } from '../../report/picture/grid.js';
import { influence } from '../../studies/influence.js';
import type { Style } from '../ansi.js';
import { withDevice } from '../common-options.js';
import { UsageError } from '../io.js';
import { definitions } from '../table.js';
import { optionLines, sources, type Picture } from './show-picture.js';

/** The sizes at which costs are reported. */
const costs = { features: 768, heads: 12, headDim: 64, length: 4096 };
/** Rows of a picture, and their features. */
const [ROWS, MOST_ROWS, FEATURES] = [128, 512, 32];

/** The mixer of a name that is not a mechanism's; undefined where there is none. */
export const mixerNamed = (name: string): MixerKind | undefined =>
  reasonAgainstMixer(name, undefined) === undefined ? mixer(name) : undefined;

export interface KindFacts {
  readonly length: number;
  readonly chosen: Readonly<Record<string, unknown>>;
  readonly multiplyAdds: number | null;
  readonly parameters: number;
}

type Settings = Readonly<Record<string, unknown>>;

/** @throws OptionError or CapabilityError for what it does not take. */
export function mixerFacts(kind: MixerKind, options: Settings, causal: boolean): KindFacts {
  const sizes = { ...costs, causal };
  const specs = [...kind.create(sizes, options).namedParameters().values()].map(({ spec }) => spec);
  return {
    length: costs.length,
    chosen: kind.settle(sizes, options),
    multiplyAdds: kind.cost(sizes, options)?.multiplyAdds ?? null,
    parameters: specs.reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0),
  };
}

interface Asked {
  readonly length: number | undefined;
  readonly text: string | undefined;
  readonly causal: boolean;
  readonly seed: number;
  readonly device: string;
  readonly threads: number | undefined;
}

/** How rows of its result depend on rows of its input. @throws UsageError for options of pictures that it does not have. */
export async function mixerPicture(who: string, kind: MixerKind, options: Settings, asked: Asked): Promise<Picture> {
  const { length = ROWS, causal, seed, text } = asked;
  if (text !== undefined) throw new UsageError(`${who}: --text: a mixer is drawn on random rows; leave it out`);
  if (length > MOST_ROWS)
    throw new UsageError(`${who}: --length: a mixer is drawn of at most ${MOST_ROWS} rows; got ${length}`);
  const sizes: MixerSizes = { features: FEATURES, heads: 4, headDim: FEATURES / 4, length, causal };
  return withDevice(who, asked, async (device) => {
    const { rows, columns, values } = await influence(device, kind, sizes, options, seed);
    const most = values.reduce((a, b) => Math.max(a, b), 0);
    return {
      panels: [{ grid: grid(rows, columns, (i, j) => Math.sqrt(values[i * columns + j]! / (most || 1))), title: '' }],
      caption:
        most === 0
          ? 'before training no row of the result depends on x'
          : 'how rows of the result (down) depend on those of x (to the right), untrained, random x',
      weights: true,
      groups: [],
    };
  });
}

export function mixerText({ definition }: MixerKind, facts: KindFacts, style: Style): readonly string[] {
  const { supports } = definition;
  const does = [supports.causal && 'causal', supports.padding && 'padding', supports.mask === true && 'masks'];
  const takes = does.filter((one) => one !== false).join(', ') || 'one sequence, bidirectional';
  const { multiplyAdds, parameters } = facts;
  return [
    `${style.bold(definition.name)}  ${definition.summary}\n`,
    definitions([['formula', definition.formula], ['takes', takes], ...sources(definition)], style),
    ...optionLines(definition.options, facts.chosen, style),
    style.bold(`Cost of a layer at ${format.integer(costs.length)} rows of ${costs.features} features`),
    definitions(
      [
        ['multiply-adds', multiplyAdds === null ? 'not said' : format.integer(multiplyAdds)],
        ['parameters', format.integer(parameters)],
      ],
      style,
    ),
  ];
}
