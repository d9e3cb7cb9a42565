import { type CommandIo, UsageError } from "./command-io.js";

/** Collaborators of commands that ask the HTTP interface of a node. */
export interface NodeApiDeps {
  readonly io: CommandIo;
  readonly fetch: typeof globalThis.fetch;
  /** Seconds to wait for a response. */
  readonly timeout: number;
}

/** A node that gives no useful response, with the reason for the user. */
export class NodeApiFailure extends Error {
  override readonly name = "NodeApiFailure";
  readonly code = "NODE_API_FAILED";
}

/** The HTTP interface of a node. @throws {UsageError} where `at` is no HTTP URI. */
export function nodeApiUri(at: string): URL {
  const uri = URL.canParse(at) ? new URL(at) : null;
  if (uri === null || !/^https?:$/.test(uri.protocol))
    throw new UsageError(`--at ${at} is not an HTTP URI; write one such as http://127.0.0.1:8683`);
  return uri;
}

/** Reads a JSON document of a node. @throws {NodeApiFailure} */
export async function readNodeApi(at: URL, path: string, { io, fetch, timeout }: NodeApiDeps): Promise<unknown> {
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(timeout * 1000), io.interrupt]);
    const response = await fetch(new URL(path, at), { signal, redirect: "error" });
    if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`.trimEnd());
    return await response.json();
  } catch (error) {
    throw new NodeApiFailure(`no status from ${at.origin}: ${explain(error, timeout)}`, { cause: error });
  }
}

function explain(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no response within ${timeout} s`;
  if (error.name === "AbortError") return "interrupted";
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  if (cause?.code === "ECONNREFUSED") return "nothing listens there; is the node running, with HTTP enabled?";
  return cause?.message ?? error.message;
}
