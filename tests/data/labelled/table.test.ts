import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../src/core/errors.js';
import { readTable, type Columns } from '../../../src/data/labelled/table.js';
import { temporaryFolder } from '../../cli/io.js';

const folder = temporaryFolder();
const read = (name: string, text: string, columns: Columns = {}) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  const { texts, reading } = readTable(path, columns);
  return { pairs: texts.map((one) => [Buffer.from(one.text).toString(), one.label]), reading };
};

describe('tables', () => {
  test.each([
    [
      'a.tsv',
      'Source\tTarget\n[MAX 1 2 ]\t2\r\nx "y", z\t3\n\n',
      {},
      [
        ['[MAX 1 2 ]', '2'],
        ['x "y", z', '3'],
      ],
      'columns Source and Target, the first line is a header',
    ],
    [
      'b.tsv',
      'neg\tbad film\npos\tgood\n',
      { text: '2', label: '1' },
      [
        ['bad film', 'neg'],
        ['good', 'pos'],
      ],
      'columns 2 and 1, no header',
    ],
    [
      'c.tsv',
      'id\tbody\tkind\n7\thello\tgreeting\n',
      { text: 'body', label: 'kind' },
      [['hello', 'greeting']],
      'columns body and kind, the first line is a header',
    ],
    [
      'd.csv',
      'label,text\n1,"a, ""b""\nc"\n0,d\n',
      {},
      [
        ['a, "b"\nc', '1'],
        ['d', '0'],
      ],
      'columns text and label, the first line is a header',
    ],
    [
      'e.csv',
      'x,1\ny,2',
      { text: '1', label: '2' },
      [
        ['x', '1'],
        ['y', '2'],
      ],
      'columns 1 and 2, no header',
    ],
    [
      'f.jsonl',
      '{"text":"a","label":true}\n{"label":3,"text":"b"}\n',
      {},
      [
        ['a', 'true'],
        ['b', '3'],
      ],
      'members text and label',
    ],
    ['g.ndjson', '{"body":"a","k":"u"}\n', { text: 'body', label: 'k' }, [['a', 'u']], 'members body and k'],
  ] as const)('%s', (name, text, columns, pairs, reading) => {
    expect(read(name, text, columns)).toEqual({ pairs, reading });
  });

  test.each([
    ['r.tsv', 'text\tlabel\na\t1\nb\nc\t2\n', {}, 'line 3 of "*" has 1 columns, the first has 2; mend the line'],
    ['r.csv', 'text,label\n"a\nb",1\nc,2,3\n', {}, 'line 4 of "*" has 3 columns, the first has 2; mend the line'],
    ['q.csv', 'text,label\n"a,1\n', {}, 'line 2 of "*" has a quote that does not end; close it'],
    ['l.tsv', 'text\tlabel\na\t1\nb\t \n', {}, 'line 3 of "*" has no label; give it one, or remove the line'],
    ['t.tsv', 'text\tlabel\n\t1\n', {}, 'line 2 of "*" has no text; give it some, or remove the line'],
    [
      'n.tsv',
      'a\tb\nc\td\n',
      {},
      '"*" does not say which of its 2 columns hold text and label (first line: "a", "b"); name them, or number them from 1, with --text-column and --label-column',
    ],
    ['m.tsv', 'text\tlabel\na\t1\n', { label: 'klass' }, 'does not say which of its 2 columns hold text and label'],
    ['o.tsv', 'text\tlabel\na\t1\n', { text: '5' }, 'does not say which of its 2 columns'],
    ['h.tsv', 'text\tlabel\n', {}, '"*" has no examples under its header; name a file with some'],
    ['j.jsonl', '{"text":"a","label":1}\n{"text":\n', {}, 'line 2 of "*" is no JSON; write an object on each line'],
    [
      'k.jsonl',
      '{"text":"a","label":1}\n{"text":"b"}\n',
      {},
      'line 2 of "*" has no label; give it one, or name another with --text-column and --label-column',
    ],
  ] as const)('%s is refused', (name, text, columns, message) => {
    expect(() => read(name, text, columns)).toThrow(FormatError);
    expect(() => read(name, text, columns)).toThrow(message.replace('*', join(folder, name)));
  });
});
