import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlers } from './bundlers.js';
import { ISOLATED, missing, openChromium } from './chromium.js';
import { installed } from './installed.js';

const folder = installed();
const chromium = openChromium();

interface Outcome {
  readonly threads: number;
  readonly reasons: readonly string[];
  readonly results: unknown;
}
const app = (await import(pathToFileURL(join(folder, 'app.mjs')).href)) as {
  run: (options: object) => Promise<Outcome>;
};

describe.each(Object.entries(bundlers))('%s', (name, bundle) => {
  const output = join(folder, name);
  let warnings: readonly string[];
  beforeAll(async () => {
    const entry = join(folder, `${name}.mjs`);
    writeFileSync(entry, "export { run as main } from './app.mjs';\n");
    warnings = await bundle(entry, join(output, 'main.js'));
  });

  test('bundles every entry point without a warning and without a module of Node', () => {
    expect(warnings).toEqual([]);
    const files = readdirSync(output).map((file) => readFileSync(join(output, file), 'utf8'));
    expect(files.flatMap((text) => text.match(/\b(?:import|from)\b\s*\(?["']node:\w*/g) ?? [])).toEqual([]);
  });

  test.skipIf(missing)(
    `runs in a page with the bits of Node${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const options = { threads: 2 };
      const got = (await chromium.run(output, 'main.js', { headers: ISOLATED, argument: options })) as Outcome;
      const want = await app.run(options);
      expect(got.results).toEqual(want.results);
      expect(got.threads).toBe(2);
    },
  );
});
