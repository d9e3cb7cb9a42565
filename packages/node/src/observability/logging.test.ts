import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { LogConfig } from "../configuration/types.js";
import { createProcessLogger, type ProcessLogger } from "./logging.js";

const NOW_MS = Date.UTC(2026, 0, 1);

async function lines(options: LogConfig, use: (logger: ProcessLogger["logger"]) => void): Promise<string[]> {
  const stream = new PassThrough();
  const { logger, close } = createProcessLogger({ stream, nowMs: () => NOW_MS }, options);
  use(logger);
  await close();
  stream.end();
  return (await stream.toArray()).join("").split("\n").slice(0, -1);
}

describe("text", () => {
  test.each([
    {
      name: "plain values",
      fields: { upstream: "rd-b", attempt: 3, ok: true },
      want: "upstream=rd-b attempt=3 ok=true",
    },
    { name: "values with blanks are quoted", fields: { reason: "no answer" }, want: 'reason="no answer"' },
    { name: "empty text shows", fields: { d: "" }, want: 'd=""' },
    { name: "line breaks cannot forge entries", fields: { ep: "a\nb" }, want: 'ep="a\\nb"' },
    { name: "escape sequences are shown", fields: { ep: "\u001b[31m" }, want: 'ep="\\u001b[31m"' },
    { name: "absent fields are left out", fields: { a: undefined, b: 1 }, want: "b=1" },
    {
      name: "lists and mappings",
      fields: { names: ["a", "b"], map: new Map([["x", 1]]) },
      want: 'names=a,b map="{\\"x\\":1}"',
    },
    {
      name: "errors with code and cause",
      fields: { error: Object.assign(new Error("no bind", { cause: new Error("in use") }), { code: "BIND_FAILED" }) },
      want: 'error="BIND_FAILED: no bind (in use)"',
    },
  ])("$name", async ({ fields, want }) => {
    const [line] = await lines({ level: "info", format: "text" }, (logger) => logger.info("upstream is live", fields));
    expect(line).toBe(`2026-01-01T00:00:00.000Z info  upstream is live ${want}`);
  });

  test("entries below the level are left out", async () => {
    const found = await lines({ level: "warn", format: "text" }, (logger) => {
      logger.debug("one");
      logger.info("two");
      logger.warn("three");
      logger.error("four");
    });
    expect(found).toEqual(["2026-01-01T00:00:00.000Z warn  three", "2026-01-01T00:00:00.000Z error four"]);
  });

  test("a field that cannot be written does not stop the log", async () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const [line] = await lines({ level: "info", format: "text" }, (logger) => logger.info("odd", { circular }));
    expect(line).toContain("odd circular=");
  });
});

test("json keeps the members of the entry over fields of the same name", async () => {
  const [line] = await lines({ level: "debug", format: "json" }, (logger) =>
    logger.debug("say", { level: "x", n: 1n, at: 5 }),
  );
  expect(JSON.parse(line ?? "")).toEqual({
    time: "2026-01-01T00:00:00.000Z",
    level: "debug",
    message: "say",
    n: "1",
    at: 5,
  });
});
