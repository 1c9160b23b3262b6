// What tests use of node:fs, for files that the server of the page has.
interface Request {
  responseType: string;
  readonly status: number;
  readonly response: ArrayBuffer;
  readonly responseText: string;
  open(method: string, url: string, later: boolean): void;
  overrideMimeType(type: string): void;
  send(): void;
}
const { XMLHttpRequest } = globalThis as unknown as { readonly XMLHttpRequest: new () => Request };

function ask(method: string, url: string | URL): Request {
  const request = new XMLHttpRequest();
  request.open(method, String(url), false);
  // bytes as the characters of the same number: outside a worker, a request that waits gives no array
  request.overrideMimeType('text/plain; charset=x-user-defined');
  request.send();
  return request;
}

export const existsSync = (url: string | URL): boolean => ask('HEAD', url).status === 200;

/** The part of Node's Buffer that tests use. */
class Bytes extends Uint8Array {
  readBigUInt64LE(at: number): bigint {
    return new DataView(this.buffer, this.byteOffset).getBigUint64(at, true);
  }
  override toString(_encoding = 'utf8', from = 0, to = this.length): string {
    return new TextDecoder().decode(Uint8Array.from(super.subarray(from, to)));
  }
}

export function readFileSync(url: string | URL, encoding?: string): Bytes | string {
  const { status, responseText } = ask('GET', url);
  if (status !== 200) throw new Error(`${String(url)}: status ${status}`);
  const bytes = Bytes.from(responseText, (character) => character.charCodeAt(0) & 0xff) as Bytes;
  return encoding === undefined ? bytes : bytes.toString();
}
