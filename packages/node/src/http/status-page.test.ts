import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger } from "@tributary/runtime";
import { readStatusPage, STATUS_PAGE_PATHS, StatusPageError } from "@tributary/status-page";
import { expect, onTestFinished, test } from "vitest";
import { createRouter } from "./router.js";
import { type StatusPageDeps, statusPageRoutes } from "./status-page.js";

/** What a browser sends when it opens a page. */
const ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

async function serve(deps: Partial<StatusPageDeps> = {}) {
  const routes = statusPageRoutes({ overview: () => "all is well\n", logger: silentLogger, ...deps });
  const server = createServer(createRouter({ logger: silentLogger }, routes));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return (path: string, headers: Record<string, string> = {}) => fetch(`http://127.0.0.1:${port}${path}`, { headers });
}

test("a browser gets the page, with a policy that allows nothing inline and nothing of other servers", async () => {
  const get = await serve();
  const response = await get("/", { accept: ACCEPT });
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|data:|https?:|\*/);
  const html = await response.text();
  expect(html).toContain('<html lang="en">');
  expect(html).not.toMatch(/<style|style=|\son[a-z]+=|<script(?![^>]*\ssrc="\.\/status-page\/app\.js")/);
  expect(html).not.toMatch(/(?:src|href)="(?!\.\/status-page\/)/);
});

test("all files are served with an entity tag, and 304 to clients that have them", async () => {
  const get = await serve();
  for (const path of STATUS_PAGE_PATHS) {
    const response = await get(path, { accept: ACCEPT });
    const body = await response.arrayBuffer();
    expect([response.status, body.byteLength > 0], path).toEqual([200, true]);
    expect(response.headers.get("cache-control"), path).toBe("no-cache");
    const etag = response.headers.get("etag") ?? "";
    const again = await get(path, { accept: ACCEPT, "if-none-match": etag });
    expect([again.status, again.headers.get("etag"), await again.text()], path).toEqual([304, etag, ""]);
    expect((await get(path, { accept: ACCEPT, "if-none-match": '"other"' })).status, path).toBe(200);
  }
});

test.each([undefined, "*/*", "text/plain", "application/json"])("%s gets the overview", async (accept) => {
  const get = await serve();
  const response = await get("/", accept === undefined ? {} : { accept });
  expect([response.headers.get("content-type"), response.headers.get("vary")]).toEqual([
    "text/plain; charset=utf-8",
    "Accept",
  ]);
  expect(await response.text()).toBe("all is well\n");
});

test("where the page was not built, that is logged once, and everybody gets the overview", async () => {
  const warnings: string[] = [];
  const get = await serve({
    logger: { ...silentLogger, warn: (message) => warnings.push(message) },
    read: () => Promise.reject(new StatusPageError("STATUS_PAGE_MISSING", "not built")),
  });
  expect(await (await get("/", { accept: ACCEPT })).text()).toBe("all is well\n");
  expect((await get("/status-page/app.js")).status).toBe(404);
  expect(warnings).toEqual(["no status page"]);
});

test("the page loads nothing of other servers", async () => {
  for (const { path, body } of await readStatusPage()) {
    const text = Buffer.from(body).toString();
    // Names of XML namespaces are no addresses.
    const addresses = [...text.matchAll(/\bhttps?:\/\/(?!www\.w3\.org\/)[a-z0-9.-]+/g)].map(([address]) => address);
    expect(addresses, path).toEqual([]);
  }
});
