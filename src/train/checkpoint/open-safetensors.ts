import { FormatError } from '../../core/errors.js';
import { callable, checkValue, text } from '../../core/requirements.js';
import { codeOf, reasonOf } from '../../core/system-errors.js';
import { type Files, nodeFiles, type OpenFile, someFiles } from './files.js';
import { Safetensors } from './safetensors.js';

/**
 * Opens a safetensors file on disk and checks its header. `verify` may look at the file before that; whatever it throws is thrown.
 *
 * @throws FormatError for a file that is missing, unreadable, or breaks any rule of the format.
 */
export async function openSafetensors(
  path: string,
  files: Files = nodeFiles,
  verify?: (file: OpenFile) => Promise<void>,
): Promise<Safetensors> {
  checkValue('openSafetensors', 'path', path, text);
  checkValue('openSafetensors', 'files', files, someFiles);
  if (verify !== undefined) checkValue('openSafetensors', 'verify', verify, callable);
  const who = `safetensors "${path}"`;
  let file: OpenFile;
  try {
    file = await files.open(path, 'read');
  } catch (error) {
    throw new FormatError(`${who} cannot be opened (${reasonOf(error)}).`, { cause: error });
  }
  try {
    await verify?.(file);
  } catch (error) {
    await file.close();
    throw readable(who, error);
  }
  return Safetensors.open(file, path).catch((error: unknown) => {
    throw readable(who, error);
  });
}

/** What the system says of a folder or a failing disk, as one sentence; other errors as they are. */
function readable(who: string, error: unknown): unknown {
  if (codeOf(error) === '') return error;
  return new FormatError(`${who} cannot be read (${reasonOf(error)}).`, { cause: error });
}
