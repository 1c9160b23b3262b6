import type { Style } from './ansi.js';
import type { Option, Options } from './arguments.js';
import { fold, foldCommand } from './fold.js';

export interface HelpText {
  readonly usage: string;
  readonly about: string;
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  readonly options: Options;
  /** Printed after the options. */
  readonly notes?: string;
}

/** Room that help needs beside an option. */
const LEAST_HELP = 30;
/** Of a default that is printed behind the help. */
const LONG = 60;
/** Of a line of help, however wide the terminal. */
const LONGEST = 90;

/** The help of one command. */
export function renderHelp({ usage, about, examples, options, notes }: HelpText, style: Style): string {
  const heads = Object.entries(options).map(([name, option]) => `--${name}${operand(option)}`);
  const width = Math.min(30, Math.max(...heads.map((head) => head.length)));
  const beside = style.columns - width - 4 >= LEAST_HELP;
  const indent = ' '.repeat(beside ? width + 4 : 6);
  const lines = Object.values(options).flatMap((option, i) => {
    const head = heads[i]!;
    const text = texts(option).flatMap((line) => fold(line, style.columns - indent.length));
    if (!beside || head.length > width) {
      const [first, ...rest] = fold(`  ${head}`, style.columns, 4);
      return [style.accent(first!), ...rest, ...text.map((line) => indent + line)];
    }
    return [`  ${style.accent(head.padEnd(width))}  ${text[0]}`, ...text.slice(1).map((line) => indent + line)];
  });
  return [
    `${style.bold('Usage')}  ${usage}\n`,
    `${about}\n`,
    style.bold('Options'),
    `${lines.join('\n')}\n`,
    ...(notes === undefined ? [] : [`${notes}\n`]),
    style.bold('Examples'),
    ...examples.flatMap(([line, does]) => [`  ${style.dim(`# ${does}`)}`, command(line, style.columns)]),
    '',
  ].join('\n');
}

/** A command line that can be copied, though it takes several lines. */
const command = (line: string, columns: number): string => foldCommand(`  ${line}`, columns).join('\n');

function operand(option: Option): string {
  if (option.takes === 'nothing') return '';
  if (option.takes === 'choice') return ` ${option.choices.join('|')}`;
  if (option.takes === 'output') return ` [${option.value}]`;
  return ` ${option.takes === 'choices' ? option.choices.join(',') : option.value}`;
}

function texts(option: Option): string[] {
  if (!('default' in option) || option.default === undefined || String(option.default) === '') {
    return option.help.split('\n');
  }
  const text = `default ${String(option.default)}`;
  const lines = text.length > LONG ? `${option.help}\n${text}` : `${option.help} (${text})`;
  return lines.split('\n').flatMap((line) => fold(line, LONGEST));
}
