import type { Style } from './ansi.js';
import type { Option, Options } from './arguments.js';

export interface HelpText {
  readonly usage: string;
  readonly about: string;
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  readonly options: Options;
  /** Printed after the options. */
  readonly notes?: string;
}

/** The help of one command. */
export function renderHelp({ usage, about, examples, options, notes }: HelpText, style: Style): string {
  const heads = Object.entries(options).map(([name, option]) => `--${name}${operand(option)}`);
  const width = Math.min(30, Math.max(...heads.map((head) => head.length)));
  const lines = Object.values(options).map((option, i) => {
    const head = heads[i]!;
    const text = `${option.help}${defaultOf(option)}`.split('\n');
    const first = head.length > width ? [`  ${head}`, ...text.map((t) => indent(t, width))] : undefined;
    const rest = text.slice(1).map((t) => indent(t, width));
    return (first ?? [`  ${style.accent(head.padEnd(width))}  ${text[0]}`, ...rest]).join('\n');
  });
  return [
    `${style.bold('Usage')}  ${usage}\n`,
    `${about}\n`,
    style.bold('Options'),
    `${lines.join('\n')}\n`,
    ...(notes === undefined ? [] : [`${notes}\n`]),
    style.bold('Examples'),
    ...examples.map(([line, does]) => `  ${style.dim(`# ${does}`)}\n  ${line}`),
    '',
  ].join('\n');
}

const indent = (text: string, width: number): string => `  ${' '.repeat(width)}  ${text}`;

function operand(option: Option): string {
  if (option.takes === 'nothing') return '';
  if (option.takes === 'choice') return ` ${option.choices.join('|')}`;
  return ` ${option.takes === 'choices' ? option.choices.join(',') : option.value}`;
}

function defaultOf(option: Option): string {
  if (!('default' in option) || option.default === undefined || String(option.default) === '') return '';
  const text = `default ${String(option.default)}`;
  return text.length > 60 ? `\n${wrap(text, 80)}` : ` (${text})`;
}

/** Breaks a list after commas. */
function wrap(text: string, width: number): string {
  const lines = [''];
  for (const part of text.split(/(?<=,)/)) {
    if (lines.at(-1)!.length + part.length > width) lines.push('');
    lines[lines.length - 1] += part;
  }
  return lines.join('\n');
}
