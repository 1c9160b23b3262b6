import type { LayersMetric } from '../train/metrics.js';
import type { Curve, CurveChart } from './curve-chart.js';
import * as format from './format.js';

/** A chart of what layers say of themselves, and the sentence below it. */
export interface LayerChart extends Pick<CurveChart, 'id' | 'title' | 'description' | 'curves' | 'y'> {
  readonly caption: string;
}

interface Kind {
  readonly title: string;
  readonly caption: string;
  /** The number that is drawn, of a layer's list and of the others that it gave. */
  readonly of: (list: readonly (number | null)[], other: (name: string) => readonly (number | null)[]) => number | null;
  readonly show: (value: number) => string;
}

const percent = (value: number): string => `${Number((100 * value).toFixed(1))} %`;
const plain = (value: number): string => String(Number(value.toPrecision(3)));

/** What routers say. */
const kinds: Readonly<Record<string, Kind>> = {
  load: {
    title: 'Load of the busiest expert',
    caption:
      'The share of tokens that the busiest expert of a layer took, as a multiple of an even share: 1 is balanced.',
    of: (list) => list.reduce<number>((most, share) => Math.max(most, share ?? 0), 0) * list.length,
    show: (value) => `${plain(value)}×`,
  },
  dropped: {
    title: 'Tokens without room',
    caption: 'The share of choices that no expert had room for; the residual connection carries these tokens on.',
    of: ([share = null]) => share,
    show: percent,
  },
  entropy: {
    title: 'Router entropy',
    caption: 'Of the probabilities of experts, as a share of the largest there is: 1 is undecided, 0 is sure.',
    of: ([entropy = null], other) =>
      entropy === null ? null : entropy / Math.max(1e-9, Math.log(other('load').length)),
    show: plain,
  },
};

/** Of every kind of number that layers gave, a curve for each layer over the steps. */
export function layerCharts(metrics: readonly LayersMetric[]): LayerChart[] {
  const all = [...new Set(metrics.flatMap(({ values }) => Object.keys(values)))];
  const parted = all.map((key) => /^(?:(.*)\.)?([^.]+)\.(\d+)$/.exec(key) ?? ['', undefined, key, '']);
  const names = [...new Set(parted.map(([, , name]) => name!))];
  return names.flatMap((name) => {
    const kind = kinds[name];
    const layers = parted.filter(([, , own]) => own === name);
    const curves = layers.map(([, part, , layer], i): Curve => {
      const key = (own: string): string =>
        [part, own, layer].filter((word) => word !== undefined && word !== '').join('.');
      const points = metrics.flatMap(({ step, values }) => {
        const list = values[key(name)];
        if (list === undefined) return [];
        const y = kind ? kind.of(list, (other) => values[key(other)] ?? []) : list.length === 1 ? list[0]! : null;
        return y === null ? [] : [{ x: step, y }];
      });
      const look = { colour: `c${1 + (i % 6)}`, shape: i % 6, dash: Math.floor(i / 6) % 3 };
      return {
        name: [part, 'layer', layer].filter(Boolean).join(' '),
        look,
        points,
        marked: points.length <= 60,
        main: i === 0,
      };
    });
    if (curves.every(({ points }) => points.length === 0)) return [];
    const { title, caption, show } = kind ?? { title: name, caption: 'As the layers say.', show: format.operations };
    return [
      {
        id: `layers-${names.indexOf(name)}`,
        title,
        description: `${title} over the steps, a curve for each layer.`,
        curves,
        y: { scale: 'linear', show, holds: [0] },
        caption: `${caption} Means between evaluations.`,
      },
    ];
  });
}
