import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { StatusPageError } from "./errors.js";

/** Paths at which the files of the page are served; `/` is the page itself. */
export const STATUS_PAGE_PATHS = ["/", "/status-page/app.js", "/status-page/app.css", "/status-page/app.svg"] as const;

/** One of the paths of the page. */
export type StatusPagePath = (typeof STATUS_PAGE_PATHS)[number];

/** A file of the page. */
export interface StatusPageFile {
  readonly path: StatusPagePath;
  readonly type: string;
  readonly body: Uint8Array;
  /** Entity tag with its quotation marks (RFC 9110 section 8.8.3). */
  readonly etag: string;
}

/**
 * Content-Security-Policy of the page: scripts, styles, images and connections of this server only, nothing inline, no frames, no
 * forms that are sent elsewhere.
 */
export const STATUS_PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

/** The same from `src` and from `dist`. */
const FOLDER = new URL("../dist/page/", import.meta.url);
const ETAG_DIGITS = 24;
const TYPES: Readonly<Record<string, string>> = {
  "": "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/**
 * Reads the files of the page.
 * @throws {StatusPageError} `STATUS_PAGE_MISSING` where the page was not built
 */
export async function readStatusPage(): Promise<readonly StatusPageFile[]> {
  try {
    return await Promise.all(STATUS_PAGE_PATHS.map(readPageFile));
  } catch (cause) {
    throw new StatusPageError("STATUS_PAGE_MISSING", "the status page is not built here; run `npm run build`", {
      cause,
    });
  }
}

async function readPageFile(path: StatusPagePath): Promise<StatusPageFile> {
  const body = await readFile(new URL(path === "/" ? "index.html" : path.slice(1), FOLDER));
  const extension = path.includes(".") ? path.slice(path.lastIndexOf(".") + 1) : "";
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, ETAG_DIGITS)}"`;
  return { path, type: TYPES[extension] ?? "application/octet-stream", body, etag };
}
