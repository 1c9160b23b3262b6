/** Those of `names` that one of the patterns fits: `{i}` stands for a number, `{*}` for any text, as in `weightMap`. */
export function matching(names: readonly string[], patterns: readonly string[]): string[] {
  const forms = patterns.map((pattern) => {
    const parts = pattern.split(/(\{[a-z]\}|\{\*\})/);
    const source = parts.map((part, i) =>
      i % 2 === 0 ? part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : part === '{*}' ? '.+' : '\\d+',
    );
    return new RegExp(`^${source.join('')}$`);
  });
  return names.filter((name) => forms.some((form) => form.test(name)));
}
