import type { ServerResponse } from "node:http";
import type { Logger } from "@tributary/runtime";
import {
  readStatusPage,
  STATUS_PAGE_PATHS,
  STATUS_PAGE_POLICY,
  StatusPageError,
  type StatusPageFile,
} from "@tributary/status-page";
import Negotiator from "negotiator";
import { isHeld } from "./entity-tags.js";
import { type HttpRequest, type Route, send, sendError } from "./router.js";

/** Collaborators of the routes of the status page. */
export interface StatusPageDeps {
  /** The state of the node in plain text, for clients that do not ask for HTML. */
  readonly overview: () => string;
  readonly logger: Logger;
  /** Reads the files of the page; default: those of @tributary/status-page. */
  readonly read?: () => Promise<readonly StatusPageFile[]>;
}

type Files = ReadonlyMap<string, StatusPageFile>;

const TEXT = "text/plain; charset=utf-8";

/**
 * Creates the routes of the status page. At `/`, clients that prefer HTML get the page, all others the overview. The files are read at
 * the first request for one of them and kept; where they were not built, that is logged once, and `/` is the overview for everybody.
 */
export function statusPageRoutes({ overview, logger, read = readStatusPage }: StatusPageDeps): Route[] {
  let loading: Promise<Files> | undefined;
  const load = (): Promise<Files> => {
    loading ??= read().then(
      (files) => new Map(files.map((file) => [file.path, file])),
      (error: unknown) => {
        if (!(error instanceof StatusPageError)) throw error;
        logger.warn("no status page", { error });
        return new Map();
      },
    );
    return loading;
  };
  return STATUS_PAGE_PATHS.map((path) => ({
    path,
    async handle(request, response) {
      if (path === "/") {
        response.appendHeader("Vary", "Accept");
        if (!prefersHtml(request)) return send(response, 200, TEXT, overview());
      }
      const file = (await load()).get(path);
      if (file !== undefined) sendFile(request, response, file);
      else if (path === "/") send(response, 200, TEXT, overview());
      else sendError(response, 404, "the status page is not built here");
    },
  }));
}

function prefersHtml({ headers }: HttpRequest): boolean {
  return new Negotiator({ headers: { accept: headers.accept } }).mediaType(["text/plain", "text/html"]) === "text/html";
}

/** Browsers keep the files and ask whether they are current: names stay the same from version to version. */
function sendFile(request: HttpRequest, response: ServerResponse, { type, body, etag }: StatusPageFile): void {
  response.setHeader("Content-Security-Policy", STATUS_PAGE_POLICY);
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Cache-Control", "no-cache");
  response.setHeader("ETag", etag);
  if (isHeld(request.headers["if-none-match"], etag)) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { "Content-Type": type, "Content-Length": body.length });
  response.end(body);
}
