import { pools } from '../../models/index.js';
import type { Options, Values } from '../arguments.js';
import { type Io, UsageError } from '../io.js';
import { textPath } from '../text-file.js';

const files = { takes: 'texts', value: 'FILE', default: [] as readonly string[] } as const;

/** What `--objective classify` takes. */
export const labelOptions = {
  'text-column': {
    takes: 'text',
    value: 'NAME',
    help: 'of tables: what holds the text, by name or number;\ndefault text, sentence, source, …',
  },
  'label-column': { takes: 'text', value: 'NAME', help: 'what holds the class; default label, class, target, …' },
  words: { takes: 'nothing', help: 'a token is a word between white space, not a byte' },
  'drop-words': { takes: 'words', value: 'WORD,…', default: [], help: 'words that are left out, such as "(,)"' },
  truncate: { takes: 'nothing', help: 'cut examples that are longer than the model takes' },
  pool: {
    takes: 'choice',
    choices: pools,
    help: 'what of a text its class is read from; default mean, of decoders last',
  },
  best: { takes: 'choice', choices: ['accuracy', 'loss'], help: 'which evaluation is the best; default accuracy' },
  images: { ...files, help: 'IDX images, plain or gzip: a token is a pixel' },
  labels: { ...files, help: 'IDX labels of the images' },
  'validation-on': { ...files, value: 'PATH', help: 'examples to evaluate on in place of a share' },
  'validation-images': { ...files, help: 'images to evaluate on' },
  'validation-labels': { ...files, help: 'labels of these' },
} as const satisfies Options;

type Section = Readonly<Record<string, unknown>>;

/** The flags as keys of the objective. @throws UsageError where the objective is another. */
export function labelFlags(who: string, values: Values<typeof labelOptions>, objective: unknown, io: Io): Section {
  const named = (Object.keys(labelOptions) as (keyof typeof labelOptions)[]).filter((name) => {
    const value = values[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
  });
  if (named.length > 0 && objective !== 'classify') {
    throw new UsageError(
      `${who}: ${named.map((name) => `--${name}`).join(' and ')} ${named.length === 1 ? 'is' : 'are'} for --objective classify; leave ${named.length === 1 ? 'it' : 'them'} out, or take that.`,
    );
  }
  const some = (list: readonly string[]): readonly string[] | undefined => (list.length > 0 ? list : undefined);
  const paths = (list: readonly string[]): readonly string[] | undefined =>
    some(list.map((path) => textPath(path, io)));
  return {
    textColumn: values['text-column'],
    labelColumn: values['label-column'],
    units: values.words ? 'words' : undefined,
    dropped: some(values['drop-words']),
    truncate: values.truncate || undefined,
    pool: values.pool,
    best: values.best,
    images: paths(values.images),
    labels: paths(values.labels),
    held: paths(values['validation-on']),
    heldImages: paths(values['validation-images']),
    heldLabels: paths(values['validation-labels']),
  };
}
