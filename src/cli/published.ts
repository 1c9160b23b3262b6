/** Options of commands that load a published model. */
export const publishedOptions = {
  as: { takes: 'text', value: 'CLASS', help: 'of a published model: the class to load, such as BertModel' },
  'ignore-field': {
    takes: 'texts',
    value: 'NAME',
    default: [],
    help: 'a field of config.json that is not known, and that you know to change nothing',
  },
} as const;

/** What a reader need know of a published model: fields that change nothing are in the JSON only. */
export const notesToShow = (notes: readonly string[]): readonly string[] =>
  notes.filter((note) => !note.startsWith('Fields that change no result'));
