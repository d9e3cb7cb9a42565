import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "@tributary/cli";
import { coap } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openWay } from "../harness/breakable-way.js";
import { freePort, temporaryFolder } from "../peers/peers.js";
import { FakeIo } from "./fake-node.js";

let rd: RunningNode;
let folder: string;
const ends: (() => unknown)[] = [];

beforeEach(async () => {
  const port = await freePort("127.0.0.1");
  const ports = await freePort("127.0.0.1");
  folder = temporaryFolder();
  rd = await startNode(
    {
      name: "rd",
      listen: [`coap://127.0.0.1:${port}`, `coap+tcp://127.0.0.1:${port}`],
      http: false,
      registration: { proxy: { ports: `${ports}` } },
    } as never,
    { logger: silentLogger },
  );
  ends.push(() => rd.close());
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Registers an endpoint that serves the folder, and returns the base that the RD announces for it. */
async function registerProxied(at: string): Promise<string> {
  const io = new FakeIo();
  const done = runCli(
    ["register", "--proxy", "--at", at, "--ep", "door", "--serve", folder, '</state.txt>;rt="door"'],
    io,
  );
  ends.push(() => {
    io.stop();
    return done;
  });
  await io.line(/^registered /);
  return announced();
}

function announced(): string {
  const [entry] = [...rd.directory.inspect()];
  return entry?.registration.base ?? "";
}

const overTcp = () => rd.uris.find((uri) => uri.startsWith("coap+tcp:")) ?? "";

async function eventually(isDone: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isDone())) await new Promise((resolve) => setImmediate(resolve));
}

describe("register --proxy --serve", () => {
  test("GET, PUT and a body of many blocks reach the endpoint at the base that the RD announces", async () => {
    writeFileSync(join(folder, "state.txt"), "closed");
    const base = await registerProxied(overTcp());
    expect(base).toMatch(/^coap(\+tcp)?:\/\/127\.0\.0\.1:\d+$/);
    const [link] = (await coap.get(`${rd.uris[0]}/rd-lookup/res?rt=door`)).text().split(">");
    expect(link).toBe(`<${base}/state.txt`);
    expect((await coap.get(`${base}/state.txt`)).text()).toBe("closed");
    expect((await coap.put(`${base}/state.txt`, "open")).code).toBe("2.04");
    expect(readFileSync(join(folder, "state.txt"), "utf8")).toBe("open");
    const long = "0123456789".repeat(1024);
    expect((await coap.put(`${base}/long.txt`, long)).code).toBe("2.01");
    expect((await coap.get(`${base}/long.txt`)).text()).toBe(long);
  });

  test("a client observes a file", async () => {
    writeFileSync(join(folder, "state.txt"), "closed");
    const base = await registerProxied(overTcp());
    const states: string[] = [];
    for await (const response of coap.observe(`${base}/state.txt`)) {
      states.push(response.text());
      if (states.includes("open")) break;
      if (states.length === 1) await coap.put(`${base}/state.txt`, "open");
    }
    expect(states[0]).toBe("closed");
    expect(states.at(-1)).toBe("open");
  });

  test.each(["../secret.txt", ".hidden", "link.txt", "nothing.txt", ""])("%j is not served", async (path) => {
    const outside = temporaryFolder();
    writeFileSync(join(outside, "secret.txt"), "secret");
    writeFileSync(join(folder, ".hidden"), "hidden");
    symlinkSync(join(outside, "secret.txt"), join(folder, "link.txt"));
    mkdirSync(join(folder, "sub"));
    const base = await registerProxied(overTcp());
    const uri = `${base}/${path.replaceAll("/", "%2F")}`;
    expect((await coap.get(uri)).code).toBe("4.04");
  });

  test("a connection that breaks is made again, and the base stays", async () => {
    writeFileSync(join(folder, "state.txt"), "closed");
    const relay = await openWay(Number(new URL(overTcp()).port));
    ends.push(() => relay.close());
    const base = await registerProxied(relay.uri);
    relay.breakAll();
    await eventually(async () => (await coap.get(`${base}/state.txt`)).code === "2.05");
    expect(announced()).toBe(base);
  }, 60_000);

  test("interrupted, it is gone", async () => {
    await registerProxied(overTcp());
    await ends.pop()?.();
    expect(rd.directory.counts().total).toBe(0);
  });
});

test.each([
  [["--proxy", "--at", "coap://127.0.0.1"], "write --at coap+tcp://127.0.0.1"],
  [["--proxy"], "--proxy needs an RD over TCP"],
  [["--proxy", "--at", "coap+tcp://127.0.0.1", "--base", "coap://h"], "leave out --base"],
  [["--at", "coap+tcp://127.0.0.1", "--serve", "."], "add --proxy"],
  [["--proxy", "--at", "coap+tcp://127.0.0.1", "--serve", "/nothing/here"], "is no folder"],
])("%j is status 2", async (args, message) => {
  const io = new FakeIo();
  expect(await runCli(["register", "--ep", "x", ...args], io)).toBe(2);
  expect(io.errors.join("\n")).toContain(message);
});
