import { type AttentionShape, families, knownMechanisms, type Mechanism, mechanisms } from '../../attention/index.js';
import { unknown } from '../../core/names.js';
import { baselines, coreSet, optionFaults, type Variant } from '../../studies/mechanisms.js';
import { UsageError } from '../io.js';
import { type Chosen, MECHANISM, readMechanism, setOption, variantsOf, withSet } from '../mechanism-options.js';
import { pluginOption } from '../plugins.js';

export const mechanismOptions = {
  mechanisms: {
    takes: 'words',
    value: `${MECHANISM},…`,
    help: 'which, or all; one may be there twice, with different options;\ndefault a core set of every family, see below',
  },
  families: { takes: 'words', value: 'NAME,…', help: 'all mechanisms of these families, beside --mechanisms' },
  set: setOption,
  plugin: pluginOption,
} as const;

const familyWidth = Math.max(...families.map((family) => family.length));

/** The mechanisms by family, for the help. */
export const mechanismNotes = `Mechanisms
${families
  .map((family) => {
    const names = mechanisms.filter(({ definition }) => definition.family === family).map(({ name }) => name);
    return `  ${family.padEnd(familyWidth)} ${wrapped(names)}`;
  })
  .join('\n')}
  ${'core set'.padEnd(familyWidth)} ${wrapped(coreSet().map(({ name }) => name))}`;

function wrapped(names: readonly string[]): string {
  const lines = [''];
  for (const name of names) {
    if (lines.at(-1)!.length + name.length > 109 - familyWidth) lines.push('');
    lines[lines.length - 1] += lines.at(-1) === '' ? name : `, ${name}`;
  }
  return lines.join(`,\n${' '.repeat(familyWidth + 3)}`);
}

interface Wanted {
  readonly mechanisms: readonly string[] | undefined;
  readonly families: readonly string[] | undefined;
  readonly set: readonly string[];
  readonly causal: boolean;
}

/** A mechanism that was chosen, and how. */
interface Wished extends Chosen {
  readonly byName: boolean;
}

/** What to compare. @throws UsageError with every reason at once. */
export function readVariants(who: string, wanted: Wanted, shape: AttentionShape): Variant[] {
  const reasons: string[] = [];
  // a baseline that only --set names is there anyway
  const all = withSet(choose(wanted, reasons), wanted.set, reasons, baselines);
  if (wanted.causal) {
    const none = all.filter((one) => !('byName' in one && !one.byName) && !hasCausalForm(one));
    const names = [...new Set(none.map(({ mechanism }) => mechanism.name))];
    if (names.length > 0) reasons.push(`no causal form: ${names.join(', ')}; leave them out, or --causal`);
  }
  const variants = variantsOf(all);
  reasons.push(...optionFaults(variants, shape));
  if (reasons.length > 0) throw new UsageError(`${who}: ${reasons.join('; ')}.`);
  return variants;
}

const hasCausalForm = ({ mechanism }: Chosen): boolean => mechanism.definition.supports.causal !== false;

function choose({ mechanisms: words, families: groups }: Wanted, reasons: string[]): Wished[] {
  const whole = (list: readonly Mechanism[]): Wished[] =>
    list.map((mechanism) => ({ mechanism, options: {}, byName: false }));
  if (words === undefined && groups === undefined) return whole(coreSet());
  if (words?.includes('all')) {
    const others = [...words.filter((word) => word !== 'all'), ...(groups ?? [])];
    if (others.length > 0)
      reasons.push(`--mechanisms all has ${others.join(', ')} among them; ask for one or the other`);
    return whole(knownMechanisms());
  }
  const inFamilies = knownMechanisms().filter(({ definition }) => groups?.includes(definition.family));
  const strange = (groups ?? []).filter((group) => !families.some((family) => family === group));
  if (strange.length > 0) reasons.push(unknown('family', strange, families));
  const byName = (words ?? []).flatMap((word) =>
    readMechanism(word, reasons).map((chosen) => ({ ...chosen, byName: true })),
  );
  // a family brings what is not there by name
  return [...byName, ...whole(inFamilies.filter((one) => !byName.some(({ mechanism }) => mechanism === one)))];
}
