/**
 * `npm run status-page -- --registrations 100000`: how long the views of the status page take to show their contents when the node
 * has so many registrations. Ends with 1 where one takes longer than two seconds.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium, type Page } from "playwright-core";
import { findProgram } from "../peers/find-program.ts";

const MAX_MS = 2000;
const SERVE = fileURLToPath(new URL("../../packages/cli/bin/tributary.js", import.meta.url));
const REGISTER_MANY = fileURLToPath(new URL("../harness/register-many.mjs", import.meta.url));

const { values } = parseArgs({ options: { registrations: { type: "string", default: "100000" } } });
const count = Number(values.registrations);
if (!Number.isInteger(count) || count < 1000) {
  process.stderr.write("usage: status-page [--registrations N], at least 1000\n");
  process.exit(2);
}
const shown = count.toLocaleString("en");

/** A view, and the text in it that says that its contents are there. */
const VIEWS = [
  { name: "overview", fragment: "", selector: ".tile .value", text: shown },
  { name: "endpoints, first page", fragment: "#/search", text: `1 to 50 of ${shown}` },
  { name: "endpoints, far down", fragment: `#/search?page=${count / 50 - 1}`, text: ` to ${shown} of ${shown}` },
  { name: "endpoints by prefix", fragment: "#/search?q=ep%3Dbulk99*", text: "1 to " },
  {
    name: "resources by type, far down",
    fragment: `#/search?kind=res&q=rt%3Dex.temp*&page=${count / 50 - 1}`,
    text: ` to ${shown}`,
  },
  { name: "all records", fragment: "#/search?kind=records", text: "50 records" },
  { name: "hidden records: none", fragment: "#/search?kind=records&state=superseded", text: "no results" },
  { name: "events", fragment: "#/events", selector: ".log", text: "registered" },
];

const { debian } = JSON.parse(readFileSync(new URL("../peers/peers.json", import.meta.url), "utf8")) as {
  debian: { chromium: { commands: string[] } };
};
const executablePath = findProgram(debian.chromium.commands);
if (executablePath === undefined) throw new Error("no Chromium");

const children: ChildProcess[] = [];

/** Starts `tributary serve`; resolves with its URIs once it is ready. */
async function serve(...args: string[]): Promise<{ readonly coap: string; readonly http: string }> {
  const all = [SERVE, "serve", "--listen", "coap://127.0.0.1:0", "--http", "127.0.0.1:0", ...args];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  for await (const line of createInterface({ input: child.stderr })) {
    const [, coap, http] = / ready .*listen=(\S+) http=(\S+)/.exec(line) ?? [];
    if (coap === undefined || http === undefined) continue;
    child.stderr.resume();
    return { coap, http };
  }
  throw new Error("tributary serve ended");
}

async function measure(
  page: Page,
  base: string,
  { fragment, selector = ".pager [role=status]", text }: (typeof VIEWS)[number],
): Promise<number> {
  await page.goto("about:blank");
  const startMs = performance.now();
  await page.goto(`${base}/${fragment}`);
  await page.locator(selector).filter({ hasText: text }).first().waitFor();
  return performance.now() - startMs;
}

async function untilCopied(http: string): Promise<void> {
  for (;;) {
    const { registrations } = (await (await fetch(`${http}/api/node`)).json()) as {
      registrations: { visible: number };
    };
    if (registrations.visible >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

try {
  const rd = await serve("--name", "rd");
  const lp = await serve("--name", "lp", "--upstream", rd.coap);
  const [status] = (await once(
    spawn(process.execPath, [REGISTER_MANY, rd.coap, String(count)], { stdio: "inherit" }),
    "close",
  )) as [number];
  if (status !== 0) throw new Error("the registrations were not accepted");
  await untilCopied(lp.http);
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
  const page = await browser.newPage();
  for (const view of VIEWS) {
    const ms = Math.round(await measure(page, lp.http, view));
    if (ms > MAX_MS) process.exitCode = 1;
    process.stdout.write(
      `${view.name.padEnd(30)} ${String(ms).padStart(5)} ms${ms > MAX_MS ? `, more than ${MAX_MS}` : ""}\n`,
    );
  }
  await browser.close();
} finally {
  for (const child of children) child.kill();
}
