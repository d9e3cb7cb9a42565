import { expect, test } from "vitest";
import { inputAt, replay, runCampaign } from "./campaign.ts";
import { cuttings, Finding, type Surface, type Target } from "./surface.ts";

/** Takes text; what it does about it is up to the test. */
function textSurface(target: () => Partial<Target<string>>): readonly Surface[] {
  const surface: Surface<string> = {
    name: "texts",
    share: 1,
    make: (chance) => Array.from({ length: chance.below(40) }, () => chance.pick([..."abcdefgh"])).join(""),
    open: () => ({ feed: () => {}, check: () => {}, finish: () => {}, close: () => {}, ...target() }),
    show: (text) => `"${text}"`,
    simpler: (text) => cuttings(text, (head, tail) => head + tail),
  };
  return [surface as Surface];
}

test("a mistake is found, made small, and made again from seed and number", async () => {
  const surfaces = textSurface(() => ({
    feed(text) {
      if (text.includes("ab")) throw new Finding("chokes on it");
    },
  }));
  const failure: Finding = await runCampaign(surfaces, { inputs: 10_000, seed: 3 }).then(
    () => expect.fail("nothing was found"),
    (error) => error,
  );
  expect(failure.message).toMatch(/^texts: chokes on it\nfound with --seed 3 --input \d+\n/);
  expect(failure.message.split("\n").at(-1)).toBe('  "ab"');
  const index = Number(/--input (\d+)/.exec(failure.message)?.[1]);
  expect(inputAt(surfaces, 3, index).input).toContain("ab");
  await expect(replay(surfaces, 3, index)).rejects.toThrow("chokes on it");
});

test("one that takes several inputs is reported with those alone", async () => {
  const surfaces = textSurface(() => {
    let hasA = false;
    return {
      feed(text) {
        if (hasA && text.startsWith("b")) throw new Finding("a, then b");
        hasA ||= text.startsWith("a");
      },
    };
  });
  const failure = await runCampaign(surfaces, { inputs: 1000, seed: 1 }).catch((error: Finding) => error);
  expect(failure).toBeInstanceOf(Finding);
  expect((failure as Finding).message.split("\n").slice(-2)).toEqual(['  "a"', '  "b"']);
});

test("what is left behind is found when all is over", async () => {
  const leaking = textSurface(() => {
    let left = 0;
    return {
      feed: (text) => {
        left += text === "" ? 1 : 0;
      },
      finish() {
        if (left > 0) throw new Finding("something is left");
      },
    };
  });
  await expect(runCampaign(leaking, { inputs: 500, seed: 1 })).rejects.toThrow("something is left");
});

test("an input that holds up the process is found", async () => {
  const slow = textSurface(() => ({
    feed(text) {
      const untilMs = performance.now() + (text.startsWith("aa") ? 150 : 0);
      while (performance.now() < untilMs);
    },
  }));
  await expect(runCampaign(slow, { inputs: 1000, seed: 1 })).rejects.toThrow(/one input takes \d+ ms/);
});

test("the same seed gives the same inputs, another one others", () => {
  const surfaces = textSurface(() => ({}));
  const inputs = (seed: number) => Array.from({ length: 20 }, (_, index) => inputAt(surfaces, seed, index).input);
  expect(inputs(1)).toEqual(inputs(1));
  expect(inputs(1)).not.toEqual(inputs(2));
});
