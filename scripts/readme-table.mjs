// Writes the tables of mechanisms and layers into README.md. After `npm run build`: node scripts/readme-table.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { mechanisms } from '../dist/attention/index.js';
import { layerKinds, layersMarkdown, markdown } from '../dist/cli/commands/mechanisms.js';

const file = new URL('../README.md', import.meta.url);
const text = readFileSync(file, 'utf8');
const between = (start, end, table) => (text) =>
  text.replace(
    new RegExp(`(<!-- ${start} -->\\n)[\\s\\S]*?(<!-- ${end} -->)`),
    (_, before, after) => before + table + after,
  );
const written = [
  between('mechanisms', 'end', markdown(mechanisms)),
  between('layers', 'end of layers', layersMarkdown(layerKinds())),
].reduce((so, write) => write(so), text);
writeFileSync(file, written);
