import { expect, test } from 'vitest';
import { onEveryDevice } from '../../support/devices.js';
import { checkExperts, type LayerCase } from './experts-check.js';

/** Choices that were dropped in all groups. */
const droppedIn = (decided: Awaited<ReturnType<typeof checkExperts>>): number =>
  decided.flatMap(({ kept }) => kept.flat()).filter((one) => !one).length;

const cases: readonly (LayerCase & { readonly drops?: boolean })[] = [
  { name: 'switch', options: { experts: 3, minCapacity: 1, evaluationCapacity: 1, zLoss: 0.1 }, drops: true },
  { name: 'switch', options: { experts: 3, jitter: 0, minCapacity: 1, capacity: 0.75 }, train: true, drops: true },
  { name: 'switch', options: { experts: 4 }, lengths: [12, 5], sizes: { activation: 'gelu' } },
  { name: 'switch', options: { experts: 3, minCapacity: 1, evaluationCapacity: 1 }, lengths: [7, 12], drops: true },
  {
    name: 'switch',
    options: { experts: 3, minCapacity: 1, evaluationCapacity: 0.8, group: 'batch' },
    drops: true,
  },
  {
    name: 'switch',
    options: { experts: 3, minCapacity: 1, evaluationCapacity: 1, groupSize: 5 },
    groups: (B, L) =>
      Array.from({ length: B }, (_, b) => b).flatMap((b) =>
        [0, 5, 10].map((from) => Array.from({ length: Math.min(5, L - from) }, (_, t) => [b, from + t] as const)),
      ),
    drops: true,
  },
  { name: 'gshard', options: { experts: 4, minCapacity: 1, evaluationCapacity: 1 }, drops: true },
  { name: 'gshard', options: { experts: 4, threshold: 1 }, train: true, drops: true },
  { name: 'gshard', options: { experts: 4, secondPolicy: 'threshold', threshold: 0.3 }, lengths: [3, 12], drops: true },
  { name: 'gshard', options: { experts: 4, secondPolicy: 'none', balance: 0 }, drops: true },
  {
    name: 'glam',
    options: { experts: 5, minCapacity: 2, capacity: 0.9, secondPolicy: 'all' },
    train: true,
    drops: true,
  },
  { name: 'st-moe', options: { experts: 4 } },
  { name: 'st-moe', options: { experts: 4, dense: 'before' } },
  { name: 'st-moe', options: { experts: 4, dense: 'after' } },
  { name: 'nllb', options: { experts: 4, evaluationShare: 0.3 }, lengths: [12, 9], drops: true },
  { name: 'nllb', options: { experts: 3, evaluationShare: 0.2, keptShares: false, outputDropout: 0 }, drops: true },
  { name: 'nllb', options: { experts: 4, capacity: 1, minCapacity: 1, outputDropout: 0 }, train: true, drops: true },
  { name: 'mixtral', options: { experts: 4, balance: 0.5 }, lengths: [12, 6] },
  { name: 'mixtral', options: { experts: 6, active: 3, renormalise: false } },
  { name: 'mixtral', options: { experts: 3, shared: 7, sharedGate: true } },
  { name: 'mixtral', options: { experts: 3, shared: 4, active: 1 } },
];

onEveryDevice((on) => {
  test.each(cases)('$name $options, lengths $lengths: rows, losses, gradients', async (one) => {
    const decided = await checkExperts(on.device, one);
    if (one.drops) expect(droppedIn(decided)).toBeGreaterThan(0);
  });
});
