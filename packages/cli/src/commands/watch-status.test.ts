import { describe, expect, test } from "vitest";
import { EPOCH_MS, FakeIo, ManualClock } from "../../../../test/cli/fake-node.js";
import { watchStatus } from "./watch-status.js";

/** Watches a node that has `answers`, one in each round, and then nothing; ends after `rounds`. */
async function watch(answers: readonly object[], rounds: number, own: { isTerminal?: boolean; json?: boolean } = {}) {
  const clock = new ManualClock();
  const io: FakeIo & { isTerminal?: boolean } = Object.assign(new FakeIo(), {
    isTerminal: own.isTerminal ?? false,
  });
  let asked = 0;
  const fetch = (async (url: URL) => {
    if (url.pathname !== "/api/upstreams") return Response.json({ name: "lp", roles: ["lp"], version: "1" });
    const answer = answers[asked++];
    if (answer === undefined) throw new TypeError("fetch failed");
    return Response.json(answer);
  }) as unknown as typeof globalThis.fetch;
  const options = { at: "http://127.0.0.1:8683", json: own.json ?? false, timeout: 5, everySeconds: 2 };
  const done = watchStatus(options, { io, fetch, clock });
  for (let round = 1; round <= rounds; round++) {
    const before = io.lines.length;
    while (io.lines.length === before) await new Promise((resolve) => setImmediate(resolve));
    if (round === rounds) io.stop();
    else clock.advance(2000);
  }
  return { status: await done, lines: io.lines };
}

describe("status --watch", () => {
  test("shows the status again and again, also while the node does not respond", async () => {
    const { status, lines } = await watch([[]], 2);
    expect(status).toBe(0);
    const at = (ms: number) => new Date(EPOCH_MS + ms).toISOString();
    expect(lines.slice(0, 2)).toEqual([at(0), expect.stringContaining("lp (lookup proxy, version 1)")]);
    expect(lines.slice(-3)).toEqual(["", at(2000), expect.stringMatching(/^tributary: .*127\.0\.0\.1:8683/)]);
  });

  test("in place on a terminal", async () => {
    const { lines } = await watch([[], []], 2, { isTerminal: true });
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.startsWith("\u001b[H\u001b[J2026-01-01T00:00:0")).toBe(true);
  });

  test("with --json, one value each time", async () => {
    const { lines } = await watch([[], []], 2, { json: true });
    expect(lines).toEqual(["[]", "[]"]);
  });
});
