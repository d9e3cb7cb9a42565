/** A request and its response, as texts. */
export interface Exchange {
  readonly request: string;
  /** Status line and header fields, then the body. */
  readonly response: string;
  readonly status: number;
  readonly etag: string | null;
  readonly bytes: number;
  /** Only the beginning of the body was read. */
  readonly isCut: boolean;
  readonly durationMs: number;
}

/** Bytes of a body that are read: what a browser draws without delay. */
const MAX_BODY_BYTES = 131_072;

/** Performs a GET and writes down both sides. Header fields that a browser adds by itself are not known to a page. */
export async function performExchange(
  path: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Exchange> {
  const url = new URL(path, document.baseURI);
  const startMs = performance.now();
  const response = await fetch(url, { headers, cache: "no-store", signal });
  const { text, bytes, isCut } = await readBody(response);
  const durationMs = performance.now() - startMs;
  const fields = (pairs: Iterable<readonly [string, string]>): string[] =>
    [...pairs].map(([name, value]) => `${titled(name)}: ${value}`);
  return {
    request: [
      `GET ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      ...fields(Object.entries(headers)),
    ].join("\n"),
    response: [`HTTP/1.1 ${response.status} ${response.statusText}`, ...fields(response.headers), "", text].join("\n"),
    status: response.status,
    etag: response.headers.get("etag"),
    bytes,
    isCut,
    durationMs,
  };
}

async function readBody(
  response: Response,
): Promise<{ readonly text: string; readonly bytes: number; readonly isCut: boolean }> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {};
    if (value !== undefined) {
      bytes += value.length;
      text += decoder.decode(value, { stream: true });
    }
    if (done) return { text: text + decoder.decode(), bytes, isCut: false };
    if (bytes >= MAX_BODY_BYTES) {
      await reader?.cancel();
      return { text: text.slice(0, MAX_BODY_BYTES), bytes: MAX_BODY_BYTES, isCut: true };
    }
  }
}

/** `content-type` as `Content-Type`. */
function titled(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}
