import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FakeCompiler {
  /** Printed for -dM. */
  readonly macros?: string;
  /** Refuses any call with this flag. */
  readonly refuses?: string;
  /** Compiling fails with this message. */
  readonly error?: string;
  /** Milliseconds between the first and the second half of the output. */
  readonly pause?: number;
}

/**
 * Writes an executable script that behaves like a C compiler as far as this library can see, so that the tests of
 * caching, probing and failing need none. The "object" is the source, written twice, in two steps.
 */
export function fakeCompiler(folder: string, options: FakeCompiler = {}, name = 'cc'): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  const script = `#!${process.execPath}
const fs = require('node:fs');
const options = ${JSON.stringify(options)};
const args = process.argv.slice(2);
fs.appendFileSync(${JSON.stringify(join(folder, `${name}.log`))}, args.join(' ') + '\\n');
if (options.refuses && args.includes(options.refuses)) {
  console.error('fake: unsupported ' + options.refuses);
  process.exit(1);
}
if (args.includes('--version')) {
  console.log('fake 1.0\\nno warranty');
} else if (args.includes('-dM')) {
  console.log(options.macros ?? '#define __FAKE__ 1');
} else {
  const source = fs.readFileSync(0, 'utf8');
  if (options.error) {
    console.error(options.error);
    process.exit(1);
  }
  const out = args[args.indexOf('-o') + 1];
  fs.writeFileSync(out, source);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.pause ?? 0);
  fs.appendFileSync(out, source);
}
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}
