import { FormatError } from '../core/errors.js';
import { requireNode } from '../core/node.js';
import { codeOf, reasonOf } from '../core/system-errors.js';

const { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } = requireNode('node:fs');
const { hostname } = requireNode('node:os');
const { join } = requireNode('node:path');

export const LOCK = 'training.lock';

/** A process, as far as others can tell it from one that had its number before, or has it in another container. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the lock was taken, ISO 8601. */
  readonly since: string;
  /** Of Linux: this start of the machine and the container's numbers of processes; empty elsewhere. */
  readonly place: string;
  /** Of Linux: when the process began, in ticks since that start; empty elsewhere. */
  readonly began: string;
}

/** A folder that this process alone trains in. */
export interface FolderLock {
  /** Idempotent. */
  release(): void;
}

/**
 * Takes the lock of a folder, a file with the number of this process. A lock whose process is gone is taken over, and `onStale` is called
 * so. Of a process on another machine or in another container nobody can tell whether it runs: its lock stays.
 *
 * @throws FormatError where another process holds the folder, or it cannot be written.
 */
export function lockFolder(folder: string, onStale: (message: string) => void = () => undefined): FolderLock {
  const path = join(folder, LOCK);
  const own = JSON.stringify(self());
  for (let attempt = 0; attempt < 10; attempt++) {
    if (created(path, own)) {
      return { release: () => (contentOf(path) === own ? rmSync(path, { force: true }) : undefined) };
    }
    const content = contentOf(path);
    // it may be gone by now
    if (content === undefined) continue;
    const holder = parse(content);
    const gone = holder !== undefined && isGone(holder);
    if (!gone) throw new FormatError(refusal(folder, path, holder));
    if (takeAway(path, content)) onStale(`train: the lock of process ${holder.pid}, which is gone, was taken over.`);
  }
  throw new FormatError(`train: "${path}" can neither be read nor replaced; delete it if nobody trains there.`);
}

/** Makes the file with its content in one step, unless it is there. */
function created(path: string, content: string): boolean {
  const part = `${path}.${process.pid}.part`;
  try {
    writeFileSync(part, content);
    linkSync(part, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    // a file system without links
    if (['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error))) return createdAlone(path, content);
    throw new FormatError(`train: "${path}" cannot be written (${reasonOf(error)}).`, { cause: error });
  } finally {
    rmSync(part, { force: true });
  }
}

function createdAlone(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw new FormatError(`train: "${path}" cannot be written (${reasonOf(error)}).`, { cause: error });
  }
}

/** Removes the stale lock, and not one that another process has put in its place meanwhile. */
function takeAway(path: string, content: string): boolean {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch {
    return false;
  }
  const stale = contentOf(aside) === content;
  if (!stale) created(path, contentOf(aside) ?? '');
  rmSync(aside, { force: true });
  return stale;
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(content: string): Holder | undefined {
  try {
    const value = JSON.parse(content) as Partial<Holder> | null;
    const texts = [value?.host, value?.since, value?.place, value?.began];
    return Number.isSafeInteger(value?.pid) && texts.every((text) => typeof text === 'string')
      ? (value as Holder)
      : undefined;
  } catch {
    return undefined;
  }
}

const self = (): Holder => ({
  pid: process.pid,
  host: hostname(),
  since: new Date().toISOString(),
  place: placeOf(),
  began: beganOf(process.pid) ?? '',
});

/** Containers of one machine share its start, and differ in the namespace of their numbers. */
function placeOf(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

/** Undefined where there is no such process, or no `/proc`. */
function beganOf(pid: number): string | undefined {
  const stat = contentOf(`/proc/${pid}/stat`);
  // the name of the program, in parentheses, may hold spaces
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function isGone({ pid, host, place, began }: Holder): boolean {
  if (place !== '' && place === placeOf()) return beganOf(pid) !== began;
  // the same machine, started again since; a container that was made again has another name
  const [boot] = place.split(' ');
  const [now] = placeOf().split(' ');
  if (host !== hostname() || (place !== '' && boot === now)) return false;
  return place === '' ? !runs(pid) : true;
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // it runs, and is somebody else's
    return codeOf(error) === 'EPERM';
  }
}

function refusal(folder: string, path: string, holder: Holder | undefined): string {
  if (holder === undefined) return `train: "${path}" is no lock of this program; delete it if nobody trains there.`;
  const { pid, host, since, place } = holder;
  const elsewhere = host !== hostname() || place !== placeOf();
  const who = `process ${pid}${elsewhere ? ` of ${host}` : ''}, since ${since}`;
  const remedy = elsewhere
    ? `Whether it still runs cannot be seen from here: if it does not, delete "${path}".`
    : 'Wait for its end, or name another folder.';
  return `train: "${folder}" is trained in by ${who}; two would destroy each other's checkpoints. ${remedy}`;
}
