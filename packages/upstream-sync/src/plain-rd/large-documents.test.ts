import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { SharedLimit } from "@tributary/merge-engine";
import { describe, expect, test } from "vitest";
import { checkDocumentWeight, documentLimit } from "../document-size.js";
import { follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd } from "../testing/plain-rd.js";

const MEMORY_BYTES = 400_000;
const padding = (count: number) => Array.from({ length: count }, (_, at) => `/x${at}>;title="${"t".repeat(50)}"`);

function weigh(text: string, memory: SharedLimit): string {
  try {
    for (const _ of checkDocumentWeight(Buffer.from(text), memory, "rd"));
    return "taken";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("the largest document", () => {
  test("is a share of the memory, and 64 MiB at most", () => {
    expect(documentLimit(new SharedLimit(100_000_000))).toBe(25_000_000);
    expect(documentLimit(new SharedLimit(Number.POSITIVE_INFINITY))).toBe(64 * 1024 * 1024);
  });

  test("takes no more to read than the upstream may take, or half of the memory", () => {
    const memory = new SharedLimit(1_000_000);
    const dense = "</>,".repeat(4000);
    expect(weigh(dense, memory)).toBe("taken");
    expect(weigh(`${"</>;a,".repeat(4000)}`, memory)).toBe("UPSTREAM_TOO_LARGE");
    memory.add("other", 900_000);
    expect(weigh(dense, memory)).toBe("UPSTREAM_TOO_LARGE");
    expect(weigh(dense.slice(0, 8000), memory)).toBe("taken");
  });
});

describe("a plain RD whose documents are too large", () => {
  test("an endpoint document beyond the limit: what was copied stays, and it is said that something is left out", async () => {
    const world = createVirtualWorld();
    const rd = new PlainRd(world, { observe: "ignored" });
    rd.register("small");
    const memory = new SharedLimit(MEMORY_BYTES);
    const { upstream, endpoints, untilLive, until } = follow(world, { uri: PLAIN_RD_URI }, { memory });
    await untilLive();
    expect(endpoints()).toEqual(["small"]);
    rd.quirks = {
      ...rd.quirks,
      answer: (kind) =>
        kind === "ep"
          ? {
              code: 69,
              contentFormat: 40,
              payload: Buffer.from(
                padding(3000)
                  .map((link) => `<${link}`)
                  .join(","),
              ),
            }
          : undefined,
    };
    await until(() => upstream.status().leftOut.has("beyond-limits"), 300_000);
    expect(upstream.status().leftOut).toEqual(new Map([["beyond-limits", 1]]));
    expect(upstream.status().lossyCoverage).toEqual([[]]);
    expect(upstream.status().phase).not.toBe("live");
    expect(endpoints()).toEqual(["small"]);
    rd.quirks = { ...rd.quirks, answer: () => undefined };
    await until(() => upstream.status().leftOut.size === 0, 300_000);
    await untilLive();
    expect(endpoints()).toEqual(["small"]);
  });

  test("a resource document beyond the limit: each registration is asked for its links, and nothing is left out", async () => {
    const world = createVirtualWorld();
    const document = Buffer.from(
      padding(1500)
        .map((link) => `<${link}`)
        .join(","),
    );
    const rd = new PlainRd(world, {
      observe: "ignored",
      answer: (kind, query) =>
        kind === "res" && query.length === 0 ? { code: 69, contentFormat: 40, payload: document } : undefined,
    });
    for (let at = 0; at < 4; at++) rd.register(`e${at}`, { links: padding(3) });
    const memory = new SharedLimit(MEMORY_BYTES);
    expect(document.length).toBeGreaterThan(documentLimit(memory));
    const { upstream, held, untilLive } = follow(world, { uri: PLAIN_RD_URI }, { memory });
    await untilLive(300_000);
    expect(upstream.status().capabilities.remarks.join()).toContain("resource lookup cannot be read");
    expect(["e0", "e3"].map((ep) => held(ep)?.links.length)).toEqual([3, 3]);
    expect(upstream.status().leftOut).toEqual(new Map());
  });
});

describe("a plain RD for whose copy there is no room", () => {
  test("what has none is left out and counted, and copied once there is", async () => {
    const world = createVirtualWorld();
    const rd = new PlainRd(world, { observe: "ignored" });
    for (let at = 0; at < 6; at++) rd.register(`e${at}`, { links: padding(40) });
    const memory = new SharedLimit(MEMORY_BYTES);
    memory.add("others", MEMORY_BYTES - 90_000);
    const { upstream, endpoints, untilLive, until } = follow(world, { uri: PLAIN_RD_URI }, { memory });
    await untilLive(300_000);
    const copied = endpoints().length;
    expect(copied).toBeGreaterThan(0);
    expect(copied).toBeLessThan(6);
    expect(upstream.status().leftOut).toEqual(new Map([["memory", 6 - copied]]));
    expect(upstream.status().lossyCoverage).toEqual([[]]);
    expect(memory.use().used).toBeLessThanOrEqual(MEMORY_BYTES);
    memory.add("others", -(MEMORY_BYTES - 90_000));
    await until(() => endpoints().length === 6, 1_800_000);
    await until(() => upstream.status().leftOut.size === 0, 300_000);
  });
});
