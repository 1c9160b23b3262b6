import { feedForwardSection } from '../../models/config-sections.js';
import type { FeedForwardKind, FeedForwardSizes } from '../../nn/index.js';
import { feedForward, reasonAgainstFeedForward } from '../../nn/feed-forward/registry.js';
import * as format from '../../report/format.js';
import type { Style } from '../ansi.js';
import { definitions } from '../table.js';
import type { KindFacts } from './show-mixer.js';
import { optionLines, sources } from './show-picture.js';

/** The sizes at which costs are reported, beside those of the kind. */
const costs = { features: 768, length: 4096 };

/** The feed-forward layer of a name; undefined where there is none. */
export const feedForwardNamed = (name: string): FeedForwardKind | undefined =>
  reasonAgainstFeedForward(name, undefined) === undefined ? feedForward(name) : undefined;

type Settings = Readonly<Record<string, unknown>>;

const sizesOf = ({ name }: FeedForwardKind, causal: boolean): FeedForwardSizes => {
  const { hidden, activation, gated, chunk } = feedForwardSection(costs.features, { name });
  return { ...costs, hidden, activation, gated, chunk, causal, share: 1 };
};

/** @throws OptionError or CapabilityError for what it does not take. */
export function feedForwardFacts(kind: FeedForwardKind, options: Settings, causal: boolean): KindFacts {
  const sizes = sizesOf(kind, causal);
  const specs = [...kind.create(sizes, options).namedParameters().values()].map(({ spec }) => spec);
  return {
    length: costs.length,
    chosen: kind.settle(sizes, options),
    multiplyAdds: kind.cost(sizes, options)?.multiplyAdds ?? null,
    parameters: specs.reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0),
  };
}

export function feedForwardText(kind: FeedForwardKind, facts: KindFacts, style: Style): readonly string[] {
  const { definition } = kind;
  const { hidden, activation, gated } = sizesOf(kind, false);
  const units = kind.supports('hidden')
    ? `, ${format.integer(hidden)} hidden units, ${gated ? 'gated ' : ''}${activation}`
    : '';
  const { multiplyAdds, parameters } = facts;
  return [
    `${style.bold(definition.name)}  ${definition.summary}\n`,
    definitions([['formula', definition.formula], ...sources(definition)], style),
    ...optionLines(definition.options, facts.chosen, style),
    style.bold(`Cost of a layer at ${format.integer(costs.length)} rows of ${costs.features} features${units}`),
    definitions(
      [
        ['multiply-adds', multiplyAdds === null ? 'not said' : format.integer(multiplyAdds)],
        ['parameters', format.integer(parameters)],
      ],
      style,
    ),
  ];
}
