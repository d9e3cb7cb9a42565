import { watch } from "node:fs";
import { readFile, realpath, rename, stat, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import {
  CODE,
  errorResponse,
  METHOD,
  type ObservationSource,
  type RequestHandler,
  type ServerRequest,
  type ServerResponse,
} from "@tributary/coap-transport";

/** Largest file that is read or written, bytes. */
const MAX_FILE_BYTES = 1_048_576;
const TEXT = 0;
const OCTET_STREAM = 42;
/** Ends of names with a Content-Format of their own. */
const FORMATS: ReadonlyMap<string, number> = new Map([
  ["txt", TEXT],
  ["wlnk", 40],
  ["xml", 41],
  ["json", 50],
  ["cbor", 60],
]);

/**
 * Serves the files of a folder: GET reads one, with Observe also when it changes, and PUT replaces or creates one in a folder that
 * exists. Nothing outside the folder is touched, by links neither; names that begin with a dot are not served.
 */
export async function createFileTree(folder: string): Promise<RequestHandler> {
  const root = await realpath(folder);
  const tree = new FileTree(root);
  return (request) => tree.handle(request);
}

class FileTree {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async handle(request: ServerRequest): Promise<ServerResponse> {
    const path = await this.#pathOf(request.path);
    if (path === null) return errorResponse(CODE.NOT_FOUND, "there is no such file");
    if (request.method === METHOD.PUT) return await this.#write(path, request.payload);
    if (request.method !== METHOD.GET) return errorResponse(CODE.METHOD_NOT_ALLOWED, "files take GET and PUT");
    const response = await this.#read(path);
    const isObserved = request.observe === 0 && response.code === CODE.CONTENT;
    return isObserved ? { ...response, observation: this.#observation(path) } : response;
  }

  /** The file that a path names; null where it leads out of the folder, or to what has no place in it. */
  async #pathOf(segments: readonly string[]): Promise<string | null> {
    if (segments.length === 0 || !segments.every(isPlainName)) return null;
    const path = join(this.#root, ...segments);
    try {
      // A new file has no real path yet, its folder has.
      const real = await realpath(path).catch(async () =>
        join(await realpath(join(path, "..")), segments.at(-1) ?? ""),
      );
      return real.startsWith(`${this.#root}${sep}`) ? real : null;
    } catch {
      return null;
    }
  }

  async #read(path: string): Promise<ServerResponse> {
    try {
      const { size } = await stat(path);
      if (size > MAX_FILE_BYTES) return errorResponse(CODE.INTERNAL, "the file is too large");
      const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "txt";
      const payload = await readFile(path);
      return { code: CODE.CONTENT, contentFormat: FORMATS.get(ending) ?? OCTET_STREAM, payload };
    } catch {
      return errorResponse(CODE.NOT_FOUND, "there is no such file");
    }
  }

  /** A reader never sees half a file. */
  async #write(path: string, payload: Uint8Array): Promise<ServerResponse> {
    if (payload.length > MAX_FILE_BYTES) return errorResponse(CODE.REQUEST_ENTITY_TOO_LARGE, "the file is too large");
    const known = await stat(path).catch(() => null);
    if (known?.isDirectory() === true) return errorResponse(CODE.METHOD_NOT_ALLOWED, "this is a folder");
    const draft = `${path}.${process.pid}.part`;
    try {
      await writeFile(draft, payload);
      await rename(draft, path);
    } catch {
      return errorResponse(CODE.FORBIDDEN, "the file cannot be written");
    }
    return { code: known === null ? CODE.CREATED : CODE.CHANGED };
  }

  #observation(path: string): ObservationSource {
    return {
      attach: (observer) => {
        let isChanged = false;
        // The folder: a file that is replaced is another file.
        const folder = join(path, "..");
        const watcher = watch(folder, (_, name) => {
          if (name !== null && join(folder, name) !== path) return;
          isChanged = true;
          observer.wake();
        });
        watcher.on("error", () => observer.end(errorResponse(CODE.NOT_FOUND, "the folder has gone")));
        return {
          next: async () => {
            if (!isChanged) return null;
            isChanged = false;
            const response = await this.#read(path);
            if (response.code !== CODE.CONTENT) {
              observer.end(response);
              return null;
            }
            return response;
          },
          closed: () => watcher.close(),
        };
      },
    };
  }
}

function isPlainName(segment: string): boolean {
  return segment !== "" && !segment.startsWith(".") && !/[/\\\0]/.test(segment) && !segment.endsWith(".part");
}
