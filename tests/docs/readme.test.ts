import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { layerKinds, layersMarkdown, markdown } from '../../src/cli/commands/mechanisms.js';
import { stacksMarkdown } from '../../src/cli/commands/preset-list.js';
import { scope } from '../../src/index.js';
import { runExample } from './examples.js';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

test('the example of the README runs and prints what it says', async () => {
  const code = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const claims = await scope(() => runExample(`${code}\nawait device.dispose();`, {}));
  expect(claims).toHaveLength(2);
  for (const { line, actual, stated } of claims) expect({ line, value: actual }).toEqual({ line, value: stated });
});

test('the table of mechanisms is the registry: subquad mechanisms --markdown', () => {
  const [, table] = /<!-- mechanisms -->\n([\s\S]*?)<!-- end -->/.exec(readme)!;
  expect(table).toBe(markdown(mechanisms));
  const [, layers] = /<!-- layers -->\n([\s\S]*?)<!-- end of layers -->/.exec(readme)!;
  expect(layers).toBe(layersMarkdown(layerKinds()));
  const [, stacks] = /<!-- stacks -->\n([\s\S]*?)<!-- end of stacks -->/.exec(readme)!;
  expect(stacks).toBe(stacksMarkdown());
});
