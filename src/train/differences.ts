import type { Json } from './checkpoint/index.js';

const isGroup = (value: unknown): value is Readonly<Record<string, Json>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where two values of JSON differ, a phrase each: `train.rate was 0.001, is 0.01`. */
export function differences(before: Json | undefined, now: Json | undefined, path = ''): string[] {
  if (isGroup(before) && isGroup(now)) {
    const names = new Set([...Object.keys(before), ...Object.keys(now)]);
    return [...names].flatMap((name) => differences(before[name], now[name], path === '' ? name : `${path}.${name}`));
  }
  const [was, is] = [before, now].map((value) => JSON.stringify(value) ?? 'absent');
  return was === is ? [] : [`${path} was ${was}, is ${is}`];
}

/** Where settings differ that both know: a later version may know more, and an earlier one kept none. */
export const changesOf = (before: Json | undefined, now: Json | undefined): readonly string[] =>
  before === undefined || now === undefined
    ? []
    : differences(before, now).filter((change) => !change.includes(' was absent, is '));
