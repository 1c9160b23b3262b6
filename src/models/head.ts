import { oneOf, wholeFrom, type Requirements } from '../core/requirements.js';

/** What of the rows of a text its class is read from. */
export const pools = ['mean', 'first', 'last', 'attention'] as const;
export type Pool = (typeof pools)[number];

/** Of the section `head` of a configuration. */
export interface HeadConfig {
  readonly classes: number;
  readonly pool: Pool;
}
export const headSection: Requirements = { classes: wholeFrom(2), pool: oneOf(pools) };

/** A decoder has seen the whole text at its last token. */
export const headOf = (kind: string, given: Readonly<Record<string, unknown>>): HeadConfig =>
  ({ pool: kind === 'decoder' ? 'last' : 'mean', ...given }) as HeadConfig;

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
        head.classes === undefined && 'head.classes is missing; it must be how many classes there are',
      ];
