import type { FloatDtype } from '../../core/dtype.js';
import type { Epilogue } from './epilogue.js';
import type { Stored } from './pack.js';

/** What a row times a matrix is specialised to. */
export interface VectorSpec {
  readonly x: FloatDtype;
  readonly b: Stored;
  /** `one`: the same bias for every column. */
  readonly bias: { readonly dtype: FloatDtype; readonly one: boolean } | undefined;
  readonly epilogue: Epilogue;
}
