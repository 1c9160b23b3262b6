import { presets, type Preset } from '../../models/index.js';

const all = Object.entries<Preset>(presets);
/** Whole stacks: those that some paper describes. */
const stacks = all.filter(([, { paper }]) => paper !== undefined);

/** A line for each preset. */
export function presetLines(): string {
  const widest = Math.max(...all.map(([name]) => name.length));
  return all.map(([name, { help }]) => `  ${name.padEnd(widest)}  ${help}`).join('\n');
}

/** What a stack does, in words. */
const does = { next: 'goes on with texts', masked: 'fills in masked tokens', classify: 'tells classes' } as const;

/** Stacks by name, with what they are. */
export const stackLines = (): readonly (readonly [name: string, help: string])[] =>
  stacks.map(([name, { help }]) => [name, help] as const);

/** Stacks as plain data. */
export const describedStacks = (): readonly Readonly<Record<string, unknown>>[] =>
  stacks.map(([name, { help, paper, objective = 'next', model }]) => ({
    name,
    level: 'stack',
    summary: help,
    objective,
    model,
    paper,
  }));

/** A table for documents, a line for each stack. */
export function stacksMarkdown(): string {
  const lines = stacks.map(([name, preset]) => {
    const { authors, year, arxiv } = preset.paper!;
    const source = arxiv === undefined ? '' : ` ([${arxiv}](https://arxiv.org/abs/${arxiv}))`;
    return `| \`${name}\` | ${preset.help} | ${does[preset.objective ?? 'next']} | ${authors} ${year}${source} |`;
  });
  return `| stack | what it is | trained, it | paper |\n|---|---|---|---|\n${lines.join('\n')}\n`;
}
