import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../src/cli/arguments.js';

const options = {
  loud: { takes: 'nothing', help: '' },
  file: { takes: 'text', value: 'FILE', help: '' },
  kind: { takes: 'choice', choices: ['fast', 'slow'], default: 'fast', help: '' },
  kinds: { takes: 'choices', choices: ['fast', 'slow'], default: ['slow'], help: '' },
  masks: { takes: 'words', value: 'MASK,…', default: ['none'], help: '' },
  threads: { takes: 'integer', value: 'N', range: [1, 256], help: '' },
  rate: { takes: 'number', value: 'R', range: [0, 10], help: '' },
  lengths: { takes: 'integers', value: 'N,…', range: [1, 4096], default: [512], help: '' },
} as const;
const parse = (...argv: string[]) => parseOptions('x', options, argv);

describe('parseOptions', () => {
  test('gives defaults, and undefined where there is none', () => {
    expect(parse()).toEqual({
      positionals: [],
      values: {
        loud: false,
        file: undefined,
        kind: 'fast',
        kinds: ['slow'],
        masks: ['none'],
        threads: undefined,
        rate: undefined,
        lengths: [512],
      },
    });
  });

  test('reads every kind of value, with = or without, in any order', () => {
    const { values, positionals } = parse(
      'a',
      '--loud',
      '--lengths=1,2, 3',
      '--file',
      'f',
      '--kinds',
      'fast,slow',
      'b',
    );
    expect(positionals).toEqual(['a', 'b']);
    expect(values).toMatchObject({ loud: true, lengths: [1, 2, 3], file: 'f', kinds: ['fast', 'slow'] });
    // the last one counts
    expect(parse('--threads', '2', '--threads', '3').values.threads).toBe(3);
    expect(['1e-3', '.5', '2', '3.', '+1.5E0'].map((rate) => parse('--rate', rate).values.rate)).toEqual([
      0.001, 0.5, 2, 3, 1.5,
    ]);
    // words add up
    expect(parse('--masks', 'a,b', '--masks=c').values.masks).toEqual(['a', 'b', 'c']);
    // what follows -- is no option
    expect(parse('--', '--loud').positionals).toEqual(['--loud']);
  });

  test.each([
    [['--lenghts', '3'], 'x: unknown option "--lenghts" (did you mean "--lengths"?); see x --help.'],
    [['--zzz'], 'x: unknown option "--zzz"; see x --help.'],
    [['-q'], 'x: unknown option "-q"; see x --help.'],
    [['--loud=yes'], 'x: --loud takes no value; got "yes".'],
    [['--file'], 'x: --file needs a value, such as --file FILE.'],
    [['--file', '--loud'], 'x: --file needs a value, such as --file FILE.'],
    [['--file='], 'x: --file needs a value, such as --file FILE.'],
    [['--kind', 'fas'], 'x: --kind must be "fast" or "slow"; got "fas" (did you mean "fast"?).'],
    [['--threads', '0'], 'x: --threads must be a whole number from 1 to 256; got 0.'],
    [['--threads', '-1'], 'x: --threads must be a whole number from 1 to 256; got -1.'],
    [['--threads', '2.5'], 'x: --threads must be a whole number from 1 to 256; got "2.5".'],
    [['--threads', '1e2'], 'x: --threads must be a whole number from 1 to 256; got "1e2".'],
    ...['NaN', '0x1', '1e', '.', '1 2', 'Infinity'].map((rate): [string[], string] => [
      [`--rate=${rate}`],
      `x: --rate must be a number from 0 to 10; got "${rate}".`,
    ]),
    ...[11, -1].map((rate): [string[], string] => [
      [`--rate=${rate}`],
      `x: --rate must be a number from 0 to 10; got ${rate}.`,
    ]),
    [['--rate='], 'x: --rate needs a value, such as --rate 0.'],
    [['--lengths', '5,-5'], 'x: --lengths must be a whole number from 1 to 4096; got -5.'],
    [['--lengths', '5,,6'], 'x: --lengths has an empty entry; got "5,,6".'],
    [
      ['--lenghts', '3', '--knid=fast', '--loud=yes', '--threads', '0', '--kind', 'fas', '--lengths', '0,x'],
      'x: --loud takes no value; got "yes"; --kind must be "fast" or "slow"; got "fas" (did you mean "fast"?); ' +
        '--threads must be a whole number from 1 to 256; got 0; --lengths must be a whole number from 1 to 4096; got 0; ' +
        '--lengths must be a whole number from 1 to 4096; got "x"; ' +
        'unknown option "--lenghts" (did you mean "--lengths"?), "--knid" (did you mean "--kind"?); see x --help.',
    ],
  ])('%j is refused in one sentence, with every reason', (argv, message) => {
    expect(() => parse(...argv)).toThrow(message);
  });
});
