const words: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOENT: 'it does not exist',
  ENOTDIR: 'a part of its path is not a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  ENXIO: 'there is no such device',
  ENODEV: 'there is no such device',
  EBUSY: 'it is in use',
  ETXTBSY: 'it is a program that runs',
  EFBIG: 'the file is too large',
  ENOTEMPTY: 'the folder is not empty',
  EEXIST: 'it is there already',
  EPIPE: 'its reader has gone',
  EISDIR: 'it is a folder',
  EMFILE: 'too many files are open',
  EIO: 'the disk reports an error',
};

/** The code of an error of the operating system or of Node, such as `ENOENT`; empty for other errors. */
export const codeOf = (error: unknown): string => (error as { code?: string } | undefined)?.code ?? '';

/** What the operating system calls an error, in words. */
export function reasonOf(error: unknown): string {
  return words[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
}
