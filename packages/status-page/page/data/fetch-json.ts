/** Longest time for a response, ms. */
const TIMEOUT_MS = 15_000;

/** Reads JSON of the node; paths are relative to the page. Rejects with an error that says why, in words. */
export async function fetchJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetchNode(path, { accept: "application/json" }, signal);
  const value: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Error(messageOf(value) ?? `the node responded with ${response.status}`);
  return value as T;
}

/** A request to the node, with a time limit. */
export function fetchNode(path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  return fetch(path, {
    headers,
    cache: "no-store",
    signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
  });
}

/** The message of an error of the API. */
function messageOf(value: unknown): string | undefined {
  const error = (value as { error?: unknown } | null)?.error;
  return typeof error === "string" ? error : undefined;
}

/** Why something failed, in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
