import { CapabilityError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import { refuse } from '../core/requirements.js';
import type { Family, PublishedClass } from './family.js';
import { readFields, type Theirs } from './fields.js';
import { matching } from './names.js';
import { familyOf } from './registry.js';

export interface Identified {
  readonly family: Family;
  readonly theirs: Theirs;
  /** Fields that change no result. */
  readonly unread: readonly string[];
}

/**
 * The family of a `config.json`, and what it reads of it.
 *
 * @throws CapabilityError for an architecture that is not here; OptionError naming every field that is not understood.
 */
export function identify(
  who: string,
  published: Readonly<Record<string, unknown>>,
  ignoreFields: readonly string[] = [],
): Identified {
  const family = familyOf(who, published['model_type']);
  const { values, unread, reasons } = readFields(published, family.fields, ignoreFields);
  refuse(`${who}: config.json of ${family.title}`, reasons);
  return { family, theirs: values, unread };
}

/** The class that is asked for, that the configuration names, or whose tensors the file has. @throws CapabilityError for one not here. */
export function classOf(
  who: string,
  { classes, prefix = '', title }: Family,
  given: {
    readonly published: Readonly<Record<string, unknown>>;
    /** Of the tensors; none where they are not known, and the first class is then meant. */
    readonly names?: readonly string[];
    readonly as?: string | undefined;
    readonly theirs: Theirs;
  },
): PublishedClass {
  const { published, names = [], as, theirs } = given;
  const known = Object.keys(classes);
  const named = as ?? (published['architectures'] as readonly unknown[] | null | undefined)?.[0];
  if (named !== undefined && !known.includes(named as string)) {
    throw new CapabilityError(`${who}: ${title}: ${unknown('class', [named], known)}. Another is loaded by as.`);
  }
  const name =
    (named as string | undefined) ??
    known.find((one) => classes[one]!.mark !== undefined && matching(names, [classes[one]!.mark]).length > 0) ??
    (given.names === undefined ? known[0]! : known.at(-1)!);
  return {
    name,
    task: classes[name]!.task,
    prefix: prefix !== '' && names.some((one) => one.startsWith(prefix)) ? prefix : '',
    labels: Object.keys(theirs.id2label as object).length,
  };
}
