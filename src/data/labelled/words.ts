/** What stands for words that were not seen: the first token. */
export const UNKNOWN = 0;

/** How many different words are known at most. */
export const MOST_WORDS = 2 ** 16;

const split = (text: Uint8Array): string[] => new TextDecoder().decode(text).split(/\s+/).filter(Boolean);

/** The words of texts, those that come most often first, those that are dropped apart; equals by their code units. */
export function wordsOf(texts: readonly { readonly text: Uint8Array }[], dropped: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const { text } of texts) for (const word of split(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  for (const word of dropped) counts.delete(word);
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, MOST_WORDS)
    .map(([word]) => word);
}

/** Texts as words: word i of the list is token i + 1; others are the unknown one, and those dropped are none. */
export function wordEncoder(words: readonly string[], dropped: readonly string[]): (text: Uint8Array) => Int32Array {
  const ids = new Map(words.map((word, i) => [word, i + 1]));
  const gone = new Set(dropped);
  return (text) =>
    Int32Array.from(
      split(text).filter((word) => !gone.has(word)),
      (word) => ids.get(word) ?? UNKNOWN,
    );
}
