import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoredRegistration } from "@tributary/resource-directory";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRegistrationState } from "./registration-state.js";
import { openStateFile } from "./state-file.js";
import { put, remove } from "./testing/submissions.js";
import { listeningLogger, stoppedClock, temporaryFolder } from "./testing/temporary-folder.js";

const { DAMAGED_BYTES_STEP = "61", DAMAGED_BYTES_STARTS = "16" } = process.env;
/** Every byte of a store in turn takes minutes: DAMAGED_BYTES_STEP=1. Prime, so that it meets every place of a page. */
const STEP = Number(DAMAGED_BYTES_STEP);
/** Starts of a whole state, each with a process that reads it through. */
const STARTS = Number(DAMAGED_BYTES_STARTS);
const KEPT = 30;

const deps = {
  logger: listeningLogger(),
  clock: stoppedClock(1_700_000_000_000),
  hostUptime: () => null,
  random: () => 0.5,
};
let folder: ReturnType<typeof temporaryFolder>;
let original: Buffer;
const expected = new Map<string, StoredRegistration>();

function registration(id: string, extra = 0): StoredRegistration {
  return {
    ...{ id, ep: `node-${id}`, base: "coap://h", isBaseExplicit: true, ltS: 90_000, attributes: [["et", "x"]] },
    ...{ links: `</t>;title="${"x".repeat(extra)}"`, renewedAtWallMs: 1_700_000_000_000, isSimple: false },
  };
}

const open = (path: string) => openRegistrationState(deps, { path, hrefPrefix: "/reg/" });

/** A store with records that were replaced and removed, one larger than a page, and a history. */
beforeAll(async () => {
  folder = temporaryFolder();
  const { store, history } = await open(folder.path);
  for (let at = 0; at < KEPT + 10; at++) {
    await put(store, registration(`a${at}`));
    const counters = { created: at + 1, ep: at + 1, res: at + 1, renewed: 0 };
    history.keep({ href: `/reg/a${at}`, ...counters, isRemoved: false, cameBack: false });
  }
  for (let at = KEPT; at < KEPT + 10; at++) await remove(store, registration(`a${at}`));
  for (let at = 0; at < 10; at++) await put(store, registration(`a${at}`, at === 5 ? 9000 : at));
  for (let at = 0; at < KEPT; at++) expected.set(`a${at}`, registration(`a${at}`, at >= 10 ? 0 : at === 5 ? 9000 : at));
  await store.close();
  original = readFileSync(join(folder.path, "data.mdb"));
});
afterAll(() => folder.remove());

/** A copy of the store with one byte changed. */
function damagedAt(offset: number, bits: number): string {
  const path = `${folder.path}-${offset}-${bits}`;
  cpSync(folder.path, path, { recursive: true });
  const bytes = Buffer.from(original);
  bytes[offset] = (bytes[offset] as number) ^ bits;
  writeFileSync(join(path, "data.mdb"), bytes);
  return path;
}

test("one changed byte anywhere costs one registration at most, and what is found intact is", {
  timeout: 600_000,
}, async () => {
  const path = damagedAt(0, 0);
  const file = join(path, "data.mdb");
  for (let offset = 0; offset < original.length; offset += STEP) {
    for (const bits of [0xff, 1 << (offset % 8)]) {
      const bytes = Buffer.from(original);
      bytes[offset] = (bytes[offset] as number) ^ bits;
      writeFileSync(file, bytes);
      const state = openStateFile(path);
      const report = await state?.examine();
      const keys = [...(state?.intactRecords() ?? [])]
        .map(({ key }) => key.toString())
        .filter((key) => /^reg/.test(key));
      state?.close();
      const found = new Set(keys.map((key) => key.slice("registration\0".length)));
      const lost = [...expected.keys()].filter((id) => !found.has(id)).length;
      const context = `byte ${offset} ^ ${bits}: ${report?.problem}`;
      expect(
        [...found].filter((id) => !expected.has(id)),
        context,
      ).toEqual([]);
      expect(lost, context).toBeLessThanOrEqual(report?.problem === null ? 0 : 1);
    }
  }
});

test("a store with one changed byte is opened, shows nothing altered, and takes registrations", {
  timeout: 300_000,
}, async () => {
  const stride = Math.floor(original.length / STARTS);
  for (let offset = 5; offset < original.length; offset += stride) {
    const path = damagedAt(offset, 0xff);
    const { store, damage } = await open(path);
    let found = 0;
    for await (const one of store.load()) {
      expect(one).toEqual(expected.get(one.id));
      found++;
    }
    expect(found, `byte ${offset}`).toBeGreaterThanOrEqual(KEPT - 1);
    if (found < KEPT) expect(damage?.leftOut).toBeGreaterThan(0);
    for (let at = 0; at < 5; at++) await put(store, registration(`new${at}`, 300));
    await store.close();
  }
});
