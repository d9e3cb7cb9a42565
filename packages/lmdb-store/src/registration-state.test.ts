import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StoredRegistration } from "@tributary/resource-directory";
import { open } from "lmdb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRegistrationState } from "./registration-state.js";
import { listeningLogger, temporaryFolder } from "./testing/temporary-folder.js";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const logger = listeningLogger();
const openState = (path = folder.path) =>
  openRegistrationState({ logger, wallMs: () => 1_700_000_000_000, random: () => 0.25 }, { path, hrefPrefix: "/reg/" });

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
    await before.store.put(registration("a"));
    await before.store.put(bare);
    await before.store.put(registration("c"));
    await before.store.delete("c");
    await before.store.close();
    const after = await openState();
    expect(await all(after)).toEqual([registration("a"), bare]);
    expect(after.rejected.size).toBe(0);
    await after.store.close();
  });

  test("the history goes on in the same epoch, above all that was handed out", async () => {
    const before = await openState();
    const position = { href: "/reg/a", created: 3, ep: 7, res: 7, renewed: 9, isRemoved: false, cameBack: true };
    await before.store.put(registration("a"));
    before.history.keep(position);
    before.history.forget("/reg/x", 5);
    await before.store.close();
    const after = await openState();
    expect(after.history).toMatchObject({ epoch: before.history.epoch, horizon: 5 });
    expect(after.history.counter).toBeGreaterThan(9);
    expect([...after.history.positions]).toEqual([position]);
    await after.store.close();
  });

  test("a registration that is written again has no position until it gets one", async () => {
    const before = await openState();
    const position = { href: "/reg/a", created: 3, ep: 7, res: 7, renewed: 9, isRemoved: false, cameBack: false };
    await before.store.put(registration("a"));
    before.history.keep(position);
    await before.store.put(registration("a", { ltS: 60 }));
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
    const startedAt = performance.now();
    const one = async (index: number) => state.store.put(registration(String(index)));
    await Promise.all(Array.from({ length: 5000 }, (_, index) => one(index)));
    // Far above what single commits reach on any disk that waits for its writes.
    expect(5000 / ((performance.now() - startedAt) / 1000)).toBeGreaterThan(2000);
    await state.store.close();
  });
});

describe("damage never prevents the start", () => {
  async function fill(count = 500): Promise<void> {
    const state = await openState();
    await Promise.all(Array.from({ length: count }, async (_, at) => state.store.put(registration(String(at)))));
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
  ])("$name", async ({ damage }) => {
    await fill();
    damage(join(folder.path, "data.mdb"));
    logger.said.length = 0;
    const state = await openState();
    const kept = await all(state);
    const isSetAside = readdirSync(dirname(folder.path)).some((name) => name.startsWith("state.damaged-"));
    // An empty file is a database that was never written to.
    expect(isSetAside || readdirSync(folder.path).length > 0).toBe(true);
    expect(kept).toEqual([]);
    if (isSetAside) {
      expect(state.rejected.get("state-damaged")).toBe(1);
      expect(logger.said).toContainEqual(
        expect.objectContaining({ level: "error", message: "kept state cannot be read and is set aside" }),
      );
    }
    await state.store.put(registration("new"));
    await state.store.close();
    const again = await openState();
    expect((await all(again)).map(({ id }) => id)).toEqual(["new"]);
    await again.store.close();
  });

  test("a format of another version is set aside", async () => {
    await fill(1);
    const environment = open({ path: folder.path, maxDbs: 8 });
    await environment.openDB({ name: "meta", encoding: "json" }).put("format", 99);
    await environment.close();
    const state = await openState();
    expect(await all(state)).toEqual([]);
    expect(logger.said.at(-1)?.fields).toMatchObject({ problem: "its format is 99, not 1" });
    await state.store.close();
  });

  test("one record that cannot be read is left out and counted", async () => {
    await fill(3);
    const environment = open({ path: folder.path, maxDbs: 8 });
    await environment.openDB({ name: "registrations", encoding: "msgpack" }).put("1", ["not", "a", "registration"]);
    await environment.close();
    const state = await openState();
    expect((await all(state)).map(({ id }) => id)).toEqual(["0", "2"]);
    expect(state.rejected.get("state-record")).toBe(1);
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
    // A shell that replaces itself by a program which never waits for what the shell has started.
    const parent = spawn("sh", ["-c", "sh -c 'exit 0' & echo $!; exec sleep 60"]);
    const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (data) => resolve(Number(data))));
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, "utf8")).toContain(") Z ");
    const startedAt = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19];
    writeFileSync(join(folder.path, "owner"), `${pid} ${startedAt}\n`);
    await (await openState()).store.close();
    parent.kill("SIGKILL");
  });

  test("a folder that cannot be made is said to be so", async () => {
    writeFileSync(folder.path, "a file");
    await expect(openState(join(folder.path, "below"))).rejects.toMatchObject({
      code: "STATE_UNAVAILABLE",
      message: expect.stringContaining("below"),
    });
    expect(existsSync(join(folder.path, "below"))).toBe(false);
  });
});

test("what was confirmed survives SIGKILL", async () => {
  // Plain lmdb with the same settings, in a process that can be killed; every confirmed key is told at once.
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
  let told = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      told += chunk;
      if (told.length > 20_000) child.kill("SIGKILL");
    });
    child.on("close", () => resolve());
  });
  const confirmed = told.split("\n").slice(0, -1);
  const environment = open({ path: folder.path, maxDbs: 8 });
  const database = environment.openDB({ name: "registrations", encoding: "msgpack" });
  expect(confirmed.length).toBeGreaterThan(100);
  expect(confirmed.filter((at) => database.get(`k${at}`) === undefined)).toEqual([]);
  await environment.close();
});
