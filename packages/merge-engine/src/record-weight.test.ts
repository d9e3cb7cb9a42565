import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Attribute, Link } from "@tributary/link-model";
import { describe, expect, test } from "vitest";
import { createDirectory } from "./directory.js";
import { recordWeight } from "./record-weight.js";
import { SharedLimit } from "./shared-limit.js";
import { registration } from "./testing/directories.js";
import type { Registration } from "./types.js";

/** The estimate over the heap that is really taken. `docs/operating.md` names the same bounds. */
const LEAST = 0.75;
const MOST = 2.5;

const collect = ((): (() => void) => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
})();

function heapUsed(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, "0");
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const link = (path: string, ...attributes: Attribute[]): Link => ({
  target: `coap://[2001:db8::1]${path}`,
  attributes,
});

/** What one of many registrations has for links; all but `alike` share nothing with each other. */
const SHAPES: Record<string, { readonly count: number; readonly links: (index: number) => Link[] }> = {
  "no links": { count: 10_000, links: () => [] },
  "three links": {
    count: 10_000,
    links: (index) => [
      link(`/s/t${index}`, ["rt", "temperature"], ["if", "core.s"], ["ct", "40"]),
      link(`/s/h${index}`, ["rt", "humidity"], ["if", "core.s"]),
      link("/a/l", ["rt", "light"], ["if", "core.a"]),
    ],
  },
  "4000 links": { count: 20, links: (index) => times(4000, (at) => link(`/${hex(index, 8)}${hex(at, 4)}`)) },
  "4000 links, alike": { count: 20, links: () => times(4000, (at) => link(`/${hex(at, 12)}`)) },
  "2500 names of attributes": {
    count: 20,
    links: (index) => times(2500, (at) => link("/a", [`a${hex(index, 8)}${hex(at, 3)}`, null])),
  },
  "2500 values of attributes": {
    count: 20,
    links: (index) => times(2500, (at) => link(`/${hex(at, 3)}`, [`a${hex(at, 3)}`, hex(index * 2500 + at, 12)])),
  },
  "9000 resource types": {
    count: 20,
    links: (index) => [link("/a", ["rt", times(9000, (at) => (index * 9000 + at).toString(36)).join(" ")])],
  },
  "one long text": { count: 50, links: (index) => [link("/a", ["title", `${index}${"y".repeat(60_000)}`])] },
  "texts beyond Latin": {
    count: 20,
    links: (index) => times(1500, (at) => link(`/${index}-${at}`, ["title", `☃${index}-${at}${"x".repeat(22)}`])),
  },
};

describe("what a registration weighs", () => {
  test.each(Object.entries(SHAPES))("is about what it takes of the heap: %s", (_, { count, links }) => {
    const memory = new SharedLimit(Number.POSITIVE_INFINITY);
    const directory = createDirectory({ memory });
    directory.openSource("a", { authority: null });
    const before = heapUsed();
    for (let index = 0; index < count; index++) directory.put("a", of(index, links(index)), 0);
    const ratio = memory.used("a") / (heapUsed() - before);
    expect(directory.counts().total).toBe(count);
    expect(ratio).toBeGreaterThan(LEAST);
    expect(ratio).toBeLessThan(MOST);
  });

  test("is charged to its source for as long as it is there, and to nobody afterwards", () => {
    const memory = new SharedLimit(1_000_000);
    const directory = createDirectory({ memory });
    directory.openSource("a", { authority: null });
    directory.openSource("b", { authority: null, account: "a" });
    const [one, other] = [of(1, [link("/x")]), of(2, [])];
    directory.put("a", one, 0);
    directory.put("b", other, 0);
    expect(memory.used("a")).toBe(recordWeight(one) + recordWeight(other));
    directory.put("a", { ...one, links: [] }, 1);
    expect(directory.weight("a", one.href)).toBe(recordWeight({ ...one, links: [] }));
    expect(memory.used("a")).toBe(directory.weight("a", one.href) + recordWeight(other));
    directory.closeSource("a", 2);
    directory.remove("b", other.href, 2);
    expect(memory.use().used).toBe(0);
  });

  test("one for which there is no memory is refused before anything changes; what does not grow is always taken", () => {
    const small = of(1, []);
    const memory = new SharedLimit(recordWeight(small) + 10);
    const directory = createDirectory({ memory });
    directory.openSource("a", { authority: null });
    directory.put("a", small, 0);
    const grown = { ...small, links: [link("/x")] };
    const full = expect.objectContaining({ code: "MEMORY_FULL" });
    expect(() => directory.put("a", grown, 1)).toThrow(full);
    expect(() => directory.put("a", of(2, []), 1)).toThrow(full);
    expect(directory.get("a", small.href)?.links).toEqual([]);
    expect(memory.used("a")).toBe(recordWeight(small));
    memory.add("b", 1000);
    directory.put("a", { ...small, renewedAtMs: 5 }, 5);
    directory.put("a", { ...small, base: "coap://[::]", renewedAtMs: 6 }, 6);
    expect(directory.get("a", small.href)).toMatchObject({ base: "coap://[::]", renewedAtMs: 6 });
  });
});

function of(index: number, links: readonly Link[]): Registration {
  return registration(`/reg/abcd${index.toString(32)}`, `endpoint-${index}`, 0, {
    base: `coap://[2001:db8:${(index >> 8).toString(16)}::${(index & 255).toString(16)}]`,
    attributes: [["et", "core.x"]],
    links,
  });
}
