import { flag, oneOf, wholeFrom, type Requirements } from '../core/requirements.js';
import { activations, type ActivationName } from '../nn/index.js';

/** What of the rows of a text its class is read from. */
export const pools = ['mean', 'first', 'last', 'attention'] as const;
export type Pool = (typeof pools)[number];

/** Of the section `head` of a configuration. */
export interface HeadConfig {
  /** How many there are; 1: a text has a number in place of a class. Absent from a model that gives what is pooled itself. */
  readonly classes?: number;
  /** `none`: each row has a class of its own. */
  readonly pool: Pool | 'none';
  /** Whether rows pass a further feed-forward layer, as those of the model with its residual and norm, before the pool; default false. */
  readonly feedForward?: boolean;
  /** Whether each class has a bias; default true. */
  readonly bias?: boolean;
  /** Activation of a layer, width to width, between the pool and the classes; default no such layer. */
  readonly dense?: ActivationName;
  /** Whether that layer has a bias; default true. */
  readonly denseBias?: boolean;
  /** Whether the model's norm comes after it; default false. */
  readonly norm?: boolean;
}
export const headSection: Requirements = {
  classes: wholeFrom(1),
  pool: oneOf([...pools, 'none']),
  feedForward: flag,
  bias: flag,
  dense: oneOf(Object.keys(activations)),
  denseBias: flag,
  norm: flag,
};

/** A decoder has seen the whole text at its last token. */
export const headOf = (kind: string, given: Readonly<Record<string, unknown>>): HeadConfig => ({
  pool: kind === 'decoder' ? 'last' : 'mean',
  ...given,
});

/** What a head has against the model. */
export const headReasons = ({
  kind,
  head,
}: {
  readonly kind: string;
  readonly head?: HeadConfig;
}): readonly (string | false)[] =>
  head === undefined
    ? []
    : [
        kind !== 'encoder' && kind !== 'decoder' && `head is for kinds encoder and decoder; got kind ${kind}`,
        head.classes === undefined &&
          head.dense === undefined &&
          'head.classes is missing; it must be how many classes there are, or leave it out beside head.dense for what is pooled itself',
        head.classes === 1 &&
          head.pool === 'none' &&
          'head.classes must be at least 2 where each row has a class (pool "none"); one class is a number that a text has',
        head.dense === undefined &&
          (head.denseBias ?? head.norm) !== undefined &&
          'head.denseBias and head.norm are of the layer that head.dense names; leave them out',
      ];
