import type { WeightRule } from '../nn/index.js';
import type { ClassDefinition, PublishedClass } from './family.js';
import { linear } from './projections.js';

interface Tied {
  readonly tie_word_embeddings: boolean;
}

/** The classes of a decoder, by what their names begin with: of tokens (`tokens` is their layer), of texts, and the next token (`head`). */
export const classesOf = (
  stem: string,
  names: { readonly head?: string; readonly tokens?: string } = {},
): Readonly<Record<string, ClassDefinition>> => {
  const { head = 'lm_head', tokens = 'score' } = names;
  return {
    [`${stem}ForCausalLM`]: { task: 'generate', mark: `${head}.weight` },
    [`${stem}ForTokenClassification`]: { task: 'classify-tokens', mark: `${tokens}.bias` },
    [`${stem}ForSequenceClassification`]: { task: 'classify', mark: 'score.weight' },
    [`${stem}Model`]: { task: 'base' },
  };
};

const isTied = (theirs: Tied, { task }: PublishedClass): boolean => theirs.tie_word_embeddings || task !== 'generate';

/** What comes after the last layer, as JSON: classes of the last real token or of each, or logits. A model without logits has no table for them. */
export const headOf = (theirs: Tied, cls: PublishedClass): object => ({
  tied: isTied(theirs, cls),
  ...(cls.task === 'classify' && { head: { classes: cls.labels, pool: 'last', bias: false } }),
  ...(cls.task === 'classify-tokens' && { head: { classes: cls.labels, pool: 'none' } }),
});

/** Between the layers of classes and ours, and those of logits, which may be the table again. */
export function headRules(
  theirs: Tied,
  cls: PublishedClass,
  names: { readonly head?: string; readonly table: string; readonly tokens?: string },
): { readonly rules: readonly WeightRule[]; readonly ties: Readonly<Record<string, string>> } {
  const { head = 'lm_head', table, tokens = 'score' } = names;
  switch (cls.task) {
    case 'generate':
      return theirs.tie_word_embeddings
        ? { rules: [], ties: { [`${head}.weight`]: table } }
        : { rules: linear(head, 'ends.head').slice(0, 1), ties: {} };
    case 'classify':
      return { rules: linear('score', 'head').slice(0, 1), ties: {} };
    case 'classify-tokens':
      return { rules: linear(tokens, 'head'), ties: {} };
    case 'base':
    case 'fill-mask':
    case 'summarise':
    case 'answer':
      return { rules: [], ties: {} };
  }
}
