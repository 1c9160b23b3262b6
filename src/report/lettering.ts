/** Names are cut to this many letters of this many pixels each; they are smaller on a phone. */
export const longestName = (width: number): number => (width < 500 ? 20 : 26);
export const letter = (width: number): number => (width < 500 ? 6.4 : 7.3);

/** Without zeros that say nothing: 10.0 s is 10 s. */
export const plain = (text: string): string => text.replace(/(\.\d*?)0+(?=\D)/, '$1').replace(/\.(?=\D)/, '');

export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
