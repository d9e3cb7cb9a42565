import { parseLookupQuery } from "@tributary/link-model";
import { expect, test } from "vitest";
import { createDirectory } from "../directory.js";
import { registration } from "../testing/directories.js";
import type { Directory, LookupInterface, LookupOptions } from "../types.js";

const COUNT = 8192;
/** Each stands for a bounded part of a step. */
const KEYS_PER_STEP = 2048;

/** Own registrations, each of them superseded by a newer one of the same endpoint elsewhere, with links of these types. */
function superseded(types: readonly string[] = ["t"]): Directory {
  const directory = createDirectory();
  for (const source of ["local", "other"]) {
    directory.openSource(source, { authority: source === "local" ? null : "coap://other" });
    directory.setConnected(source, true, 0);
    for (let at = 0; at < COUNT; at++) {
      const own = source === "local";
      const entry = registration(`/reg/${at}`, `n${String(at).padStart(6, "0")}`, own ? 0 : 5000, {
        attributes: [
          ["half", String(at % 2)],
          ["eighth", String(at % 8)],
          ["serial", `s${at}`],
        ],
        links: types.map((type) => ({ target: `coap://n${at}/x`, attributes: [["rt", type] as const] })),
        expiresAtMs: 1_000_000,
      });
      directory.put(source, entry, 5000);
    }
  }
  return directory;
}

const LOOKUPS: readonly (readonly [name: string, kind: LookupInterface, query: string, options: LookupOptions])[] = [
  ["everything, to find nothing", "ep", "half=0&half=1", {}],
  ["what is marked and does not match", "res", "eighth=0&rt=t&rt=u", {}],
  ["resources of what is marked", "res", "eighth=0&rt=t&half=1", {}],
  ["a prefix of many values", "ep", "serial=s1*&half=0&half=1", {}],
  ["several prefixes of many values", "res", "serial=s*&href=*&ep=n*&half=0&half=1", {}],
  ["records of a source that is not shown", "ep", "half=0", { sources: new Set(["local"]) }],
  ["what is registered here and superseded", "ep", "half=0&half=1", { heldBy: "local" }],
  ["all of what is registered here", "res", "", { heldBy: "local" }],
];

test.each(LOOKUPS)("a lookup that looks at %s may be interrupted all along", (_, kind, text, options) => {
  const directory = superseded(["t", "u"]);
  const parsed = parseLookupQuery(text === "" ? [] : text.split("&"));
  if (!parsed.ok) throw new Error(parsed.message);
  const steps = [...directory.lookupInSteps(kind, parsed.query, 5000, options)];
  expect(steps.filter((step) => step !== null)).toEqual([...directory.lookup(kind, parsed.query, 5000, options)]);
  const pauses = steps.filter((step) => step === null).length;
  expect(pauses).toBeGreaterThanOrEqual(COUNT / KEYS_PER_STEP);
});

test.each(["serial=s77", "serial=s77*&half=1", "href=/reg/77", "ep=n000077", "rt=t&serial=s77", "serial=none"])(
  "what is registered here and superseded is found by %s without a search",
  (text) => {
    const directory = superseded();
    const parsed = parseLookupQuery(text.split("&"));
    if (!parsed.ok) throw new Error(parsed.message);
    for (const kind of ["ep", "res"] as const) {
      const steps = [...directory.lookupInSteps(kind, parsed.query, 5000, { heldBy: "local" })];
      expect(steps.length).toBeLessThan(100);
      expect(steps.filter((step) => step !== null).length > 0).toBe(text !== "serial=none");
    }
  },
);

test("what changes between two steps: whatever is there throughout comes exactly once", () => {
  const directory = superseded();
  const found: string[] = [];
  let changed = 0;
  for (const step of directory.lookupInSteps("ep", { criteria: [], showProvenance: false }, 5000, {
    heldBy: "local",
  })) {
    if (step !== null) {
      found.push(step.target);
      continue;
    }
    // Some are shown again, some are removed.
    directory.remove("other", `/reg/${COUNT - 1 - changed}`, 5000);
    directory.remove("local", `/reg/${4000 + changed}`, 5000);
    changed++;
  }
  expect(changed).toBeGreaterThan(50);
  expect(new Set(found).size).toBe(found.length);
  const gone = new Set(Array.from({ length: changed }, (_, at) => `/reg/${4000 + at}`));
  const throughout = Array.from({ length: COUNT }, (_, at) => `/reg/${at}`).filter((href) => !gone.has(href));
  const set = new Set(found);
  expect(throughout.filter((href) => !set.has(href))).toEqual([]);
});

test.each(["ep", "res"] as const)("an %s lookup that is being read ends with a source that is closed", (kind) => {
  const parsed = parseLookupQuery([]);
  if (!parsed.ok) throw new Error(parsed.message);
  const begin = (directory: Directory) => {
    const steps = directory.lookupInSteps(kind, parsed.query, 5000);
    while (steps.next().value === null);
    return steps;
  };
  const directory = superseded();
  const steps = begin(directory);
  directory.openSource("empty", { authority: "coap://empty" });
  directory.closeSource("empty", 5000);
  expect(steps.next().done).toBe(false);
  directory.closeSource("other", 5000);
  const readOn = () => [...steps];
  expect(readOn).toThrow(expect.objectContaining({ code: "SOURCE_CLOSED" }));
  // What is shown instead is found by a lookup that begins now; also when nothing is left of it to examine.
  expect([...directory.lookup(kind, parsed.query, 5000)]).toHaveLength(COUNT);
  const last = begin(directory);
  directory.closeSource("local", 5000);
  expect(() => [...last]).toThrow(expect.objectContaining({ code: "SOURCE_CLOSED" }));
  expect([...directory.lookup(kind, parsed.query, 5000)]).toEqual([]);
});
