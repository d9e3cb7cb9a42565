import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { chromiumPath } from "../peers/peers.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const TIMEOUT_MS = 60_000;

/** Starts Chromium without a window. */
export function startBrowser(): Promise<Browser> {
  // Chromium refuses its sandbox to root, and pages here come from this machine alone.
  return chromium.launch({ executablePath: chromiumPath(), args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/**
 * Opens a page for one test. What the browser complains of (errors, breaches of the Content-Security-Policy) and requests to other
 * servers fail the test at its end.
 */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // A node that is stopped by a test is not reached, which the browser reports as well.
    const isExpected = /net::ERR_|503 \(/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isExpected) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(page.url()).origin && !request.isNavigationRequest())
      complaints.push(`request to ${request.url()}`);
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });
  // What the browser does may take long on a busy machine.
  page.setDefaultTimeout(TIMEOUT_MS);
  // For tests that do not wait for the next reading.
  await page.clock.install();
  await page.goto(url);
  return page;
}

interface Axe {
  run(options: object): Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }>;
}

/** What axe finds wrong with the page as it is now, by WCAG 2.2 A and AA and best practices; `rules`: only by these. */
export async function findBarriers(page: Page, rules?: readonly string[]): Promise<string[]> {
  // Not as a script element, which the policy of the page refuses.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  return page.evaluate(async (only) => {
    const { axe } = globalThis as unknown as { axe: Axe };
    const all = { resultTypes: ["violations"], rules: { "target-size": { enabled: true } } };
    const { violations } = await axe.run(only === undefined ? all : { ...all, runOnly: only });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary ?? ""}`),
    );
  }, rules);
}

/** Follows a link within the page. */
export async function goTo(page: Page, fragment: string): Promise<void> {
  await page.goto(page.url().replace(/#.*|$/, fragment));
}

/** How many pixels the page is wider than the screen. */
export function overflow(page: Page): Promise<number> {
  return page.locator("html").evaluate((root) => root.scrollWidth - root.clientWidth);
}
