import type { Plain, Row } from '../row.js';
import { attention } from './attention.js';
import { data } from './data.js';
import { masks, scores } from './masks.js';
import { models } from './models.js';
import { nn } from './nn.js';
import { ops } from './ops.js';
import { positions } from './positions.js';
import { pretrained } from './pretrained.js';
import { tensors } from './tensor.js';
import { train } from './train.js';

/** By entry of the package; what several entries export belongs to the first. */
export const rows: Readonly<Record<string, Readonly<Record<string, Row | Plain>>>> = {
  '.': { ...attention, ...tensors, ...ops, ...masks, ...scores, ...positions },
  './attention': attention,
  './data': data,
  './masks': masks,
  './models': models,
  './nn': nn,
  './pretrained': pretrained,
  './train': train,
};
