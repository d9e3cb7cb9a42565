import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StoredRegistration } from "@tributary/resource-directory";
import { open } from "lmdb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRegistrationState } from "./registration-state.js";
import { put, remove } from "./testing/submissions.js";
import { listeningLogger, stoppedClock, temporaryFolder } from "./testing/temporary-folder.js";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const logger = listeningLogger();
const DEPS = { logger, clock: stoppedClock(1_700_000_000_000), hostUptime: () => null, random: () => 0.25 };
const openState = (path = folder.path) => openRegistrationState(DEPS, { path, hrefPrefix: "/reg/" });

function registration(id: string, more: Partial<StoredRegistration> = {}): StoredRegistration {
  return {
    id,
    ep: `node-${id}`,
    d: "floor1",
    base: "coap://[2001:db8::1]",
    isBaseExplicit: true,
    ltS: 90_000,
    attributes: [
      ["et", "urn:ex:lamp"],
      ["flag", null],
    ],
    links: '</t>;rt="temp"',
    renewedAtWallMs: 1_700_000_000_000,
    isSimple: false,
    ...more,
  };
}

async function all(state: Awaited<ReturnType<typeof openState>>): Promise<StoredRegistration[]> {
  const found: StoredRegistration[] = [];
  for await (const one of state.store.load()) found.push(one);
  return found;
}

describe("what an RD keeps", () => {
  test("registrations come back as they were, with all that is optional or not", async () => {
    const { d: _, ...bare } = registration("b", { zone: "eth0", isSimple: true, links: "", attributes: [] });
    const before = await openState();
    await put(before.store, registration("a"));
    await put(before.store, bare);
    await put(before.store, registration("c"));
    await remove(before.store, registration("c"));
    await before.store.close();
    const after = await openState();
    expect(await all(after)).toEqual([registration("a"), bare]);
    expect(after.rejected.size).toBe(0);
    await after.store.close();
  });

  test("the history goes on in the same epoch, above all that was handed out", async () => {
    const before = await openState();
    const position = { href: "/reg/a", created: 3, ep: 7, res: 7, renewed: 9, isRemoved: false, cameBack: true };
    await put(before.store, registration("a"));
    before.history.keep(position);
    before.history.forget("/reg/x", 5);
    await before.store.close();
    const after = await openState();
    expect(after.store.epoch).toBe(before.store.epoch);
    expect(after.history).toMatchObject({ horizon: 5 });
    expect(after.history.counter).toBeGreaterThan(9);
    expect([...after.history.positions]).toEqual([position]);
    await after.store.close();
  });

  test("a registration that is written again has no position until it gets one", async () => {
    const before = await openState();
    const position = { href: "/reg/a", created: 3, ep: 7, res: 7, renewed: 9, isRemoved: false, cameBack: false };
    await put(before.store, registration("a"));
    before.history.keep(position);
    await put(before.store, registration("a", { ltS: 60 }));
    await before.store.close();
    const after = await openState();
    expect([...after.history.positions]).toEqual([]);
    await after.store.close();
  });

  test("counters are reserved ahead of the ones in use", async () => {
    const before = await openState();
    const { counter } = before.history;
    const next = counter + 99_000;
    before.history.keep({ href: "/a", created: 1, ep: next, res: next, renewed: 0, isRemoved: false, cameBack: false });
    await before.store.close();
    const after = await openState();
    expect(after.history.counter).toBeGreaterThan(next + 50_000);
    await after.store.close();
  });

  test("many writes at once share commits", async () => {
    const state = await openState();
    const one = async (index: number) => put(state.store, registration(String(index)));
    await Promise.all(Array.from({ length: 5000 }, (_, index) => one(index)));
    await state.store.close();
    const file = open({ path: folder.path, readOnly: true });
    const { lastTxnId } = file.getStats() as { lastTxnId: number };
    await file.close();
    expect(lastTxnId, "commits").toBeLessThan(500);
  });
});

describe("damage never prevents the start", () => {
  async function fill(count = 500): Promise<void> {
    const state = await openState();
    await Promise.all(Array.from({ length: count }, async (_, at) => put(state.store, registration(String(at)))));
    await state.store.close();
  }

  test.each([
    { name: "rubbish", damage: (file: string) => writeFileSync(file, Buffer.alloc(40_000, 0xa5)) },
    { name: "an empty file", damage: (file: string) => writeFileSync(file, "") },
    { name: "a file cut off in the middle", damage: (file: string) => truncateSync(file, 40_000) },
    { name: "a file cut off within a page", damage: (file: string) => truncateSync(file, 5_001) },
    {
      name: "pages overwritten with zeros",
      damage: (file: string) => {
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0, 8192));
      },
    },
  ])("$name", async ({ name, damage }) => {
    await fill();
    damage(join(folder.path, "data.mdb"));
    logger.said.length = 0;
    const state = await openState();
    const kept = await all(state);
    for (const one of kept) expect(one).toEqual(registration(one.id));
    const isSetAside = readdirSync(dirname(folder.path)).some((name) => name.startsWith("state.damaged-"));
    // An empty file is a database that was never written to.
    expect(isSetAside).toBe(name !== "an empty file");
    if (isSetAside) {
      expect(state.rejected.get("state-damaged")).toBe(1);
      expect(state.damage?.setAside).toContain("state.damaged-");
      expect(logger.said).toContainEqual(
        expect.objectContaining({ level: "error", message: expect.stringContaining("stored state is damaged") }),
      );
    } else expect(kept).toEqual([]);
    await put(state.store, registration("new"));
    await state.store.close();
    const again = await openState();
    expect((await all(again)).map(({ id }) => id).sort()).toEqual([...kept.map(({ id }) => id), "new"].sort());
    expect(again.damage).toBeUndefined();
    await again.store.close();
  });

  test("a format of another version is set aside", async () => {
    const environment = open({ path: folder.path, maxDbs: 8, overlappingSync: false });
    await environment.openDB({ name: "meta", encoding: "json" }).put("format", 99);
    await environment.openDB({ name: "something", encoding: "json" }).put("a", 1);
    await environment.close();
    const state = await openState();
    expect(await all(state)).toEqual([]);
    expect(state.damage).toMatchObject({ problem: "its format is 99, not 2", kept: 0 });
    await state.store.close();
  });

  test("a damaged number of the format costs nothing", async () => {
    await fill(3);
    const environment = open({ path: folder.path, maxDbs: 8, overlappingSync: false });
    await environment.openDB({ name: "meta", encoding: "json" }).put("format", 6);
    await environment.close();
    const state = await openState();
    expect(await all(state)).toHaveLength(3);
    expect(state.damage).toBeUndefined();
    await state.store.close();
  });

  test("a damaged record is left out, counted and logged once; the history gets a new epoch", async () => {
    await fill(3);
    const before = await openState();
    const position = { href: "/reg/0", created: 3, ep: 7, res: 7, renewed: 0, isRemoved: false, cameBack: false };
    before.history.keep(position);
    await before.store.close();
    const file = join(folder.path, "data.mdb");
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf("node-1"); at >= 0; at = bytes.indexOf("node-1", at + 1)) bytes[at] = 0x4e;
    writeFileSync(file, bytes);
    logger.said.length = 0;
    const state = await openRegistrationState(
      { ...DEPS, random: () => 0.75 },
      { path: folder.path, hrefPrefix: "/reg/" },
    );
    expect((await all(state)).map(({ id }) => id)).toEqual(["0", "2"]);
    expect(state.rejected.get("state-record")).toBe(1);
    expect(state.damage).toMatchObject({ leftOut: 1 });
    expect(state.store.epoch).not.toBe(before.store.epoch);
    expect([...state.history.positions]).toEqual([]);
    expect(logger.said.filter(({ level }) => level === "error" || level === "warn")).toHaveLength(1);
    await state.store.close();
  });
});

describe("the format without checksums", () => {
  async function writeFormer(): Promise<void> {
    const environment = open({ path: folder.path, maxDbs: 8, overlappingSync: false });
    const meta = environment.openDB({ name: "meta", encoding: "json" });
    const registrations = environment.openDB({ name: "registrations", encoding: "msgpack" });
    const positions = environment.openDB({ name: "positions", encoding: "msgpack" });
    await Promise.all([
      meta.put("format", 1),
      meta.put("epoch", 77),
      meta.put("reserved", 5000),
      meta.put("horizon", 2),
    ]);
    for (const id of ["a", "b"]) {
      await registrations.put(id, [
        ...[`node-${id}`, "floor1", "coap://[2001:db8::1]", true, 90_000],
        ...[registration(id).attributes, registration(id).links, 1_700_000_000_000, null, false],
      ]);
      await positions.put(`/reg/${id}`, [1, 7, 7, 0, false, false]);
    }
    await environment.close();
  }

  test("is taken over with its history, once", async () => {
    await writeFormer();
    for (let start = 0; start < 2; start++) {
      const state = await openState();
      expect(await all(state)).toEqual([registration("a"), registration("b")]);
      expect(state.store.epoch).toBe(77);
      expect(state.history).toMatchObject({ horizon: 2 });
      expect(state.history.counter).toBeGreaterThanOrEqual(5000);
      expect([...state.history.positions].map(({ href }) => href)).toEqual(["/reg/a", "/reg/b"]);
      expect(state.rejected.size).toBe(0);
      await state.store.close();
    }
  });

  test("a record in it that cannot be decoded is left out, and the history with it", async () => {
    await writeFormer();
    const environment = open({ path: folder.path, maxDbs: 8, overlappingSync: false });
    await environment
      .openDB({ name: "registrations", encoding: "binary" })
      .put("a", Buffer.from([0xdb, 0xff, 0xff, 0xff]));
    await environment.close();
    const state = await openState();
    expect((await all(state)).map(({ id }) => id)).toEqual(["b"]);
    expect(state.rejected.get("state-record")).toBe(1);
    expect(state.store.epoch).not.toBe(77);
    expect([...state.history.positions]).toEqual([]);
    await state.store.close();
  });
});

describe("a wall clock that is set", () => {
  const DAY = 86_400_000;
  async function ageAfterRestart({ atStart = 0, stepMs = 0, downMs = 0, wallAtRestart = 0 }): Promise<number> {
    const clock = stoppedClock(1_700_000_000_000 + atStart);
    const deps = { ...DEPS, clock };
    const place = { path: folder.path, hrefPrefix: "/reg/" };
    const before = await openRegistrationState(deps, place);
    await put(before.store, registration("a", { renewedAtWallMs: clock.wallMs() }));
    clock.set({ nowMs: 2000, wallMs: clock.wallMs() + stepMs + 2000 });
    await before.store.close();
    const again = stoppedClock(clock.wallMs() + downMs + wallAtRestart);
    const after = await openRegistrationState({ ...deps, clock: again }, place);
    const [kept] = await all(after);
    await after.store.close();
    return again.wallMs() - (kept?.renewedAtWallMs ?? Number.NaN);
  }

  test.each([
    { name: "not at all", options: {}, ageMs: 2000 },
    { name: "forward while it runs", options: { stepMs: 30 * DAY }, ageMs: 2000 },
    { name: "back while it runs", options: { stepMs: -30 * DAY }, ageMs: 2000 },
    { name: "from 1970 to now", options: { atStart: -1_700_000_000_000, stepMs: 1_700_000_000_000 }, ageMs: 2000 },
    { name: "forward, and then it is down for an hour", options: { stepMs: DAY, downMs: 3_600_000 }, ageMs: 3_602_000 },
    { name: "back while it is down", options: { wallAtRestart: -30 * DAY }, ageMs: 2000 },
    { name: "to 1970 by a restart of the host", options: { wallAtRestart: -1_700_000_000_000 }, ageMs: 2000 },
  ])("$name: the age of a registration is what went by", async ({ options, ageMs }) => {
    expect(await ageAfterRestart(options)).toBe(ageMs);
  });

  test("while the process is down and the host is not: the uptime of the host says how long it took", async () => {
    let uptimeMs = 1000;
    const clock = stoppedClock(1_700_000_000_000);
    const deps = { ...DEPS, clock, hostUptime: () => ({ hostStart: "one", uptimeMs }) };
    const place = { path: folder.path, hrefPrefix: "/reg/" };
    const before = await openRegistrationState(deps, place);
    await put(before.store, registration("a"));
    await before.store.close();
    uptimeMs += 5000;
    clock.set({ wallMs: clock.wallMs() + 300 * DAY });
    const after = await openRegistrationState(deps, place);
    expect((await all(after)).map(({ renewedAtWallMs }) => clock.wallMs() - renewedAtWallMs)).toEqual([5000]);
    await after.store.close();
  });

  test("is noticed by looking, so that a crash afterwards does no harm", async () => {
    const callbacks: (() => void)[] = [];
    const clock = {
      ...stoppedClock(0),
      setTimer(_: number, call: () => void) {
        callbacks.push(call);
        return { cancel() {} };
      },
    };
    let wallMs = 1000;
    clock.wallMs = () => wallMs;
    const place = { path: folder.path, hrefPrefix: "/reg/" };
    const state = await openRegistrationState({ ...DEPS, clock }, place);
    await put(state.store, registration("a", { renewedAtWallMs: wallMs }));
    wallMs += 30 * DAY;
    for (const call of callbacks.splice(0)) call();
    // The next write is behind the anchor; what follows a crash sees what is on disk now.
    await put(state.store, registration("b", { renewedAtWallMs: wallMs }));
    const copy = `${folder.path}-copy`;
    cpSync(folder.path, copy, { recursive: true });
    rmSync(join(copy, "owner"));
    const after = await openRegistrationState({ ...DEPS, clock }, { ...place, path: copy });
    expect((await all(after)).map((one) => wallMs - one.renewedAtWallMs)).toEqual([0, 0]);
    await after.store.close();
    await state.store.close();
  });
});

describe("one process at a time", () => {
  test("a second one is refused, until the first has closed", async () => {
    const first = await openState();
    await expect(openState()).rejects.toMatchObject({
      code: "STATE_IN_USE",
      message: expect.stringContaining("process"),
    });
    await first.store.close();
    await (await openState()).store.close();
  });

  test("a process that was killed leaves no claim behind", async () => {
    const pid = spawnSync(process.execPath, ["-e", ""]).pid;
    mkdirSync(folder.path);
    writeFileSync(join(folder.path, "owner"), `${pid} 12345\n`);
    await (await openState()).store.close();
  });

  test("nor does one that has ended and was not waited for", async () => {
    mkdirSync(folder.path);
    // A shell that replaces itself by a program which never waits for what the shell has started; that one ends afterwards.
    const child = 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done';
    const parent = spawn("sh", ["-c", `sh -c '${child}' & echo $!; exec sleep 60`]);
    const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (data) => resolve(Number(data))));
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, "utf8"), { timeout: 60_000 }).toContain(") Z ");
    const startedAt = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19];
    writeFileSync(join(folder.path, "owner"), `${pid} ${startedAt}\n`);
    await (await openState()).store.close();
    parent.kill("SIGKILL");
  });

  test("a folder that cannot be made is said to be so", async () => {
    writeFileSync(folder.path, "a file");
    await expect(openState(join(folder.path, "below"))).rejects.toMatchObject({
      code: "STATE_UNAVAILABLE",
      message: expect.stringMatching(/^registration\.store: state cannot be stored in .*below: .*; name a folder/),
    });
    expect(existsSync(join(folder.path, "below"))).toBe(false);
  });

  test.each(["/proc/nope", "/proc/nope/deeper", "/dev/null/nope", `/${"x".repeat(300)}`])(
    "a folder where none can be, %s: the message names setting, folder and remedy",
    async (path) => {
      await expect(openState(path)).rejects.toMatchObject({
        code: "STATE_UNAVAILABLE",
        message: expect.stringMatching(/^registration\.store: state cannot be stored in \/.*; /),
      });
    },
  );

  test("a pipe in the place of the file is not waited for", async () => {
    mkdirSync(folder.path);
    spawnSync("mkfifo", [join(folder.path, "data.mdb")]);
    await expect(openState()).rejects.toMatchObject({
      code: "STATE_UNAVAILABLE",
      message: expect.stringContaining("is not a file"),
    });
  });

  test("missing folders above are made", async () => {
    const path = join(folder.path, "a", "b");
    await (await openState(path)).store.close();
    expect(existsSync(path)).toBe(true);
  });
});

test("what was confirmed survives SIGKILL", async () => {
  // Plain lmdb with the same settings, in a process that can be killed; every confirmed key is printed at once.
  const lmdb = fileURLToPath(import.meta.resolve("lmdb"));
  const program = `
    import { open } from ${JSON.stringify(lmdb)};
    const environment = open({ path: ${JSON.stringify(folder.path)}, maxDbs: 8, overlappingSync: false });
    const db = environment.openDB({ name: "registrations", encoding: "msgpack" });
    for (let at = 0; ; at++) db.put("k" + at, [at]).then(() => process.stdout.write(at + "\\n"));
  `.replace(
    "for (let at = 0; ; at++)",
    "for (let at = 0; at < 1e6; at += 1, at % 100 === 0 && await 0, at % 500 === 0 && await new Promise((r) => setTimeout(r, 1)))",
  );
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  let printed = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk;
      if (printed.length > 20_000) child.kill("SIGKILL");
    });
    child.on("close", () => resolve());
  });
  const confirmed = printed.split("\n").slice(0, -1);
  const environment = open({ path: folder.path, maxDbs: 8, overlappingSync: false });
  const database = environment.openDB({ name: "registrations", encoding: "msgpack" });
  expect(confirmed.length).toBeGreaterThan(100);
  expect(confirmed.filter((at) => database.get(`k${at}`) === undefined)).toEqual([]);
  await environment.close();
});
