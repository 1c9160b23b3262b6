import type { AttentionShape, OptionSpecs, OptionValues } from '../../attention/options.js';
import { OptionError } from '../../core/errors.js';
import {
  callable,
  flag,
  oneOf,
  plainObject,
  reasonsAgainst,
  wholeFrom,
  type Requirements,
} from '../../core/requirements.js';
import { activations, type ActivationName } from '../activation.js';
import { Kind, kindFaults, type KindDefinition } from '../kind.js';
import type { FeedForward } from '../layer.js';

/** What a feed-forward layer is made for. */
export interface FeedForwardSizes {
  readonly features: number;
  /** Units between its products; of each expert, where there are several. */
  readonly hidden: number;
  readonly activation: ActivationName;
  /** Whether a second product gates the first. */
  readonly gated: boolean;
  /** Tokens whose hidden activations live at a time; 0: all. */
  readonly chunk: number;
  /** Whether its products have biases; default as the papers have it. */
  readonly bias?: boolean;
  /** Rows of a sequence that it is made for. */
  readonly length: number;
  /** Whether no row may see a later one. */
  readonly causal: boolean;
  /** What its result is multiplied by at first, so that the branches of all layers add what one would: 1 for a layer by itself. */
  readonly share: number;
}

/** What a configuration says of every feed-forward layer, unless its kind has no use for it. */
export const sectionSizes = ['hidden', 'activation', 'gated', 'chunk', 'bias'] as const;
export type SectionSize = (typeof sectionSizes)[number];

/** What one can do, and which sizes it has a use for. Default: all but `chunk` and `bias`. */
export type FeedForwardSupports = Readonly<Partial<Record<'causal' | SectionSize, boolean>>>;

export interface FeedForwardDefinition<O extends OptionSpecs = OptionSpecs> extends KindDefinition<
  FeedForwardSizes,
  O
> {
  readonly supports?: FeedForwardSupports;
  /** Sizes that the paper has otherwise than a dense layer. */
  readonly defaults?: { readonly activation?: ActivationName; readonly gated?: boolean };
  /** The branch of a layer, without values yet. */
  create(this: void, sizes: FeedForwardSizes, options: OptionValues<O>): FeedForward;
}

const extent = wholeFrom(1);
const ofSizes: Requirements = {
  features: extent,
  hidden: extent,
  activation: oneOf(Object.keys(activations)),
  gated: flag,
  chunk: wholeFrom(0),
  bias: flag,
  length: extent,
  causal: flag,
  share: { must: 'a number above 0', holds: (value) => Number.isFinite(value) && (value as number) > 0 },
};

/** Options have no heads to go by: one, as wide as the rows. */
const shapeOf = ({ features, length }: FeedForwardSizes): AttentionShape => ({
  B: 1,
  H: 1,
  G: 1,
  L: length,
  S: length,
  D: features,
  E: features,
});

/** A kind of feed-forward layer; made by `defineFeedForward`. */
export class FeedForwardKind<O extends OptionSpecs = OptionSpecs> extends Kind<
  FeedForwardSizes,
  O,
  FeedForwardDefinition<O>
> {
  constructor(definition: FeedForwardDefinition<O>) {
    super(definition, {
      sizes: ofSizes,
      optional: ['bias'],
      shapeOf,
      incapable: (sizes) =>
        [
          sizes.causal && !this.supports('causal') && 'has no causal form; take it for an encoder',
          sizes.chunk > 0 && !this.supports('chunk') && `takes no chunk; got ${sizes.chunk}, and 0 is for all at once`,
        ].filter((reason) => reason !== false),
    });
  }

  /** Whether it can, or has a use for it. */
  supports(what: keyof FeedForwardSupports): boolean {
    return this.definition.supports?.[what] ?? (what !== 'chunk' && what !== 'bias');
  }

  /** The branch of a layer, without values yet. @throws as `settle`. */
  create(sizes: FeedForwardSizes, options: Readonly<Record<string, unknown>> = {}): FeedForward {
    return this.definition.create(sizes, this.settle(sizes, options));
  }
}

/**
 * A feed-forward layer from its definition: the branch of a layer that works on each token by itself, or on few parts of it. Checks,
 * the model's configuration (`"feedForward": { "name": …, "options": … }`), the command line (`--feed-forward NAME:OPTION=VALUE`) and
 * tables follow from it. What `create` returns is a `Module` whose `forward(x, context)` gives rows, or an `Outcome`.
 *
 * @throws OptionError for a definition that is incomplete, with every reason.
 */
export function defineFeedForward<const O extends OptionSpecs>(
  definition: FeedForwardDefinition<O>,
): FeedForwardKind<O> {
  const faults = kindFaults(definition, { defaults: plainObject, create: callable }, ['create']);
  const parts =
    faults.length > 0
      ? faults
      : [
          ...reasonsAgainst(
            definition.supports ?? {},
            Object.fromEntries(['causal', ...sectionSizes].map((name) => [name, flag])),
          ),
          ...reasonsAgainst(definition.defaults ?? {}, { activation: ofSizes['activation']!, gated: flag }),
        ];
  if (parts.length > 0) throw new OptionError(`defineFeedForward: ${parts.join('; ')}.`);
  return new FeedForwardKind(definition);
}
