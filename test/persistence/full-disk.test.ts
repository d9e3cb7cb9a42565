import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstValue } from "@tributary/link-model";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTestClient, type TestClient } from "../harness/nodes.js";
import { freePort, requirePeers, startTributary, temporaryFolder, untilWritten } from "../peers/peers.js";

const DISK_BYTES = 6_000_000;
const BALLAST_BYTES = 4_000_000;
let disk: string;

beforeEach((context) => {
  requirePeers(context, "netns");
  disk = temporaryFolder();
  run("mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk);
  writeFileSync(join(disk, "ballast"), Buffer.alloc(BALLAST_BYTES));
});

afterEach(() => {
  spawnSync("umount", ["--lazy", disk]);
});

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

async function registered(client: TestClient, rd: string, ep: string): Promise<boolean> {
  return client.register(rd, [`ep=${ep}`, "base=coap://h"], `</t>;title="${"x".repeat(700)}"`).then(
    () => true,
    (error: Error) => {
      expect(error.message).toContain("5.03");
      return false;
    },
  );
}

async function endpoints(client: TestClient, rd: string): Promise<string[]> {
  const links = await client.links(`${rd}/rd-lookup/ep`);
  return links.map((link) => firstValue(link, "ep") ?? "").sort();
}

test("a full disk refuses registrations, takes nothing away, and is over when there is room", async () => {
  const rd = `coap://[::1]:${await freePort()}`;
  const config = { name: "rd", listen: [rd], http: false, registration: { store: `lmdb:${join(disk, "state")}` } };
  const client = await openTestClient();
  const first = await startTributary({ config });
  const acknowledged: string[] = [];
  const refused: string[] = [];
  for (let batch = 0; refused.length < 100 && batch < 200; batch++) {
    const names = Array.from({ length: 20 }, (_, at) => `e${batch}-${at}`);
    const done = await Promise.all(names.map((ep) => registered(client, rd, ep)));
    names.forEach((ep, at) => void (done[at] ? acknowledged : refused).push(ep));
  }
  expect(acknowledged.length).toBeGreaterThan(100);
  expect(refused.length).toBeGreaterThanOrEqual(100);
  expect(await endpoints(client, rd)).toEqual([...acknowledged].sort());
  // Logged when it begins to fail: not for every registration, and again only where one fitted in between.
  for (const message of [/the registration store failed/g, /state cannot be written/g]) {
    const times = first.stderr().match(message)?.length ?? 0;
    expect(times).toBeGreaterThanOrEqual(1);
    expect(times).toBeLessThanOrEqual(10);
  }

  rmSync(join(disk, "ballast"));
  const late = refused[0] as string;
  expect(await registered(client, rd, late)).toBe(true);
  await untilWritten(first, "stderr", /the registration store works again/);
  await first.kill("SIGKILL");
  await startTributary({ config });
  expect(await endpoints(client, rd)).toEqual([...acknowledged, late].sort());
}, 180_000);
