import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { Narrator } from "./narrator.js";

function narrating(paceMs = 0) {
  const clock = createVirtualClock();
  const lines: string[] = [];
  const abort = new AbortController();
  const narrator = new Narrator({ clock, print: (line) => lines.push(line), signal: abort.signal, paceMs });
  return { clock, lines, abort, narrator };
}

test("a story waits for what has to happen, however long that takes, and says what for", async () => {
  const { clock, lines, narrator } = narrating();
  let isSo = false;
  let isOver = false;
  const waiting = narrator
    .until("the impossible", () => isSo)
    .then(() => {
      isOver = true;
    });
  await clock.advance(3_600_000);
  expect(isOver).toBe(false);
  expect(new Set(lines)).toEqual(new Set(["   (waiting for the impossible)"]));
  isSo = true;
  await clock.advance(100);
  await waiting;
});

test("each chapter but the first comes after a pause", async () => {
  const { clock, lines, narrator } = narrating(1000);
  const story = narrator.title("one").then(() => narrator.title("two"));
  await clock.advance(999);
  expect(lines).toEqual(["", "1. one"]);
  await clock.advance(1);
  await story;
  expect(lines).toEqual(["", "1. one", "", "2. two"]);
});

test("an interrupted story ends at once, in a pause and while it waits", async () => {
  const paused = narrating(60_000);
  const story = paused.narrator.title("one").then(() => paused.narrator.title("two"));
  const waiting = narrating();
  const wait = waiting.narrator.until("nothing", () => false);
  await paused.clock.advance(10);
  const ends = [story, wait].map((promise) => expect(promise).rejects.toThrow("aborted"));
  for (const { abort } of [paused, waiting]) abort.abort();
  await Promise.all(ends);
});
