import type { Safetensors } from '../train/checkpoint/index.js';

/** Where the files of a published model are. */
export interface ModelSource {
  /** What errors call it. */
  readonly name: string;
  /** The text of a file; undefined where it is not there. @throws FormatError for one that cannot be read. */
  text(file: string): Promise<string | undefined>;
  /** Whether there is a file of that name. */
  has(file: string): Promise<boolean>;
  /** A file of weights. @throws FormatError for one that is missing, or breaks the format. */
  weights(file: string): Promise<Safetensors>;
}
