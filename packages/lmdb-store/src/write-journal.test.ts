import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PendingWrite } from "@tributary/resource-directory";
import { silentLogger, systemClock } from "@tributary/runtime";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openWriteJournal } from "./write-journal.js";

let path = "";

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "journal-"));
});

afterEach(() => {
  for (const name of readdirSync(tmpdir()))
    if (join(tmpdir(), name).startsWith(path)) rmSync(join(tmpdir(), name), { recursive: true });
});

const open = () =>
  openWriteJournal(
    { logger: silentLogger, clock: systemClock() },
    { path, setting: "registration.store.nats.journal" },
  );

function writeOf(ep: string, more: Partial<PendingWrite> = {}): PendingWrite {
  const nowMs = Math.round(systemClock().wallMs());
  const registration = {
    ...{ id: `id-${ep}`, ep, base: "coap://[2001:db8::1]", isBaseExplicit: true, ltS: 90, isSimple: false },
    ...{ attributes: [["et", "oic"]] as const, links: "</t>", renewedAtWallMs: nowMs - 5000, stampMs: 8.5 },
  };
  return { kind: "put", registration, base: 7, atWallMs: nowMs, ...more };
}

/** Times on disk follow another clock, and are rounded. */
function expectAlike(read: PendingWrite | undefined, written: PendingWrite): void {
  const { renewedAtWallMs } = written.registration;
  expect(read).toEqual({
    ...written,
    atWallMs: expect.closeTo(written.atWallMs, -2),
    registration: { ...written.registration, renewedAtWallMs: expect.closeTo(renewedAtWallMs, -2) },
  });
}

test("what is written is there after it was closed, and what was removed is not", async () => {
  const { journal } = await open();
  const [kept, removal] = [writeOf("a"), writeOf("b", { kind: "delete", base: null })];
  await Promise.all([journal.put(writeOf("a", { base: 1 })), journal.put(writeOf("c")), journal.put(removal)]);
  await journal.put(kept);
  await journal.remove("id-c");
  await journal.close();
  const again = await open();
  const read = [...again.journal.load()];
  expect(read).toHaveLength(2);
  expectAlike(read[0], kept);
  expectAlike(read[1], removal);
  expect([...again.rejected]).toEqual([]);
  await again.journal.close();
});

test("a damaged record is left out and counted, and the others are there", async () => {
  const { journal } = await open();
  const names = Array.from({ length: 20 }, (_, at) => `node${at}`);
  await Promise.all(names.map((ep) => journal.put(writeOf(ep))));
  await journal.close();
  const file = join(path, "data.mdb");
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf('"node7"'); at !== -1; at = bytes.indexOf('"node7"', at + 1)) bytes[at + 2] = 0x58;
  writeFileSync(file, bytes);
  const again = await open();
  expect([...again.journal.load()]).toHaveLength(names.length - 1);
  expect([...again.rejected]).toEqual([["journal-record", 1]]);
  await again.journal.close();
});
