import { markup, Markup } from './html.js';
import { style } from './style.js';

/** One HTML file that asks for nothing else: no script, no font, no request. */
export function page(title: string, body: Markup, version: string): string {
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <main>
          ${body}
          <footer>
            Made by subquad ${version} on ${new Date().toISOString().slice(0, 10)}. This file is complete: it loads nothing.
          </footer>
        </main>
      </body>
    </html> `.text;
}

/** Names and what they stand for. */
export const facts = (pairs: readonly (readonly [name: string, value: string | Markup])[]): Markup =>
  markup`<dl>
    ${pairs.map(
      ([name, value]) =>
        markup`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;

/** A table that scrolls sideways where the page is narrow. */
export const scrolling = (title: string, table: Markup): Markup =>
  markup`<div class="scroll" tabindex="0" role="region" aria-label="${title}">
    <table>
      ${table}
    </table>
  </div>`;
