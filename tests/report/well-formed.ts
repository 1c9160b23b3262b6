const VOID = new Set(['meta', 'br', 'hr', 'img', 'link', 'input']);

/** Says what is wrong with the tags of a page, or undefined: every element closed, in order; attributes quoted. */
export function malformed(page: string): string | undefined {
  const open: string[] = [];
  const body = page.replace(/^<!doctype html>/, '').replace(/<style>[^<]*<\/style>/g, '');
  for (const [text] of body.matchAll(/<[^>]*>?/g)) {
    const tag = /^<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+="[^"<]*")*)\s*(\/?)>$/.exec(text);
    if (!tag) return `not a tag: ${text}`;
    const [, closing, name, , selfClosing] = tag;
    if (selfClosing || VOID.has(name!)) continue;
    if (!closing) open.push(name!);
    else if (open.pop() !== name) return `${text} closes nothing`;
  }
  const ampersand = /&(?!(?:amp|lt|gt|quot|#39);).{0,10}/.exec(body);
  if (ampersand) return `a bare ampersand: ${ampersand[0]}`;
  return open.length > 0 ? `never closed: ${open.join(', ')}` : undefined;
}
