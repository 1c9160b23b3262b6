// Writes the table of mechanisms into README.md. After `npm run build`: node scripts/readme-table.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { mechanisms } from '../dist/attention/index.js';
import { markdown } from '../dist/cli/commands/mechanisms.js';

const file = new URL('../README.md', import.meta.url);
const text = readFileSync(file, 'utf8');
writeFileSync(
  file,
  text.replace(/(<!-- mechanisms -->\n)[\s\S]*?(<!-- end -->)/, (_, start, end) => start + markdown(mechanisms) + end),
);
