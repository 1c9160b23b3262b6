import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FakeCompiler {
  /** Printed for -dM. */
  readonly macros?: string;
  /** Refuses any call with this flag. */
  readonly refuses?: string;
  /** Compiling fails with this message. */
  readonly error?: string;
  /** Compiling ends well, and makes nothing. */
  readonly idle?: boolean;
  /** Compiling is ended by this signal. */
  readonly signal?: string;
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
  const { macros = '#define __FAKE__ 1', refuses, error, idle, signal, pause = 0 } = options;
  const script = `#!/bin/sh
echo "$*" >> '${join(folder, `${name}.log`)}'
case " $* " in
  *' ${refuses ?? 'nothing is refused'} '*) echo 'fake: unsupported ${refuses}' >&2; exit 1;;
  *' --version '*) echo 'fake 1.0'; echo 'no warranty'; exit;;
  *' -dM '*) echo '${macros}'; exit;;
esac
${signal ? `kill -s ${signal.replace('SIG', '')} $$` : ''}
${idle ? 'exit 0' : ''}
source=$(cat)
${error ? `echo '${error}' >&2; exit 1` : ''}
while [ "$1" != -o ]; do shift; done
printf %s "$source" > "$2"
${pause ? `sleep ${pause / 1000}` : ''}
printf %s "$source" >> "$2"
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}
