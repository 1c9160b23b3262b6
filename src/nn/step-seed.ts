import type { StepSeed } from '../attention/index.js';
import type { Module } from './module.js';

/** From what `what` of a module draws anew at this step, and again in a pass that is computed again; undefined outside of training. */
export const stepSeed = ({ training, path }: Module, what: string): StepSeed | undefined =>
  training && { seed: training.seed, purpose: `${what} ${training.step} ${path}` };
