import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "@tributary/cli";
import { coap } from "@tributary/coap-transport";
import { createTestAuthority } from "@tributary/coap-transport/testing";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CountingRelay } from "../harness/counting-relay.js";
import { writeContextPair } from "../harness/oscore-contexts.js";
import { eventually, freePort, temporaryFolder } from "../peers/peers.js";
import { FakeIo } from "./fake-node.js";

const authority = createTestAuthority();
let folder: string;
let config: object;
let rd: RunningNode;
const ends: (() => unknown)[] = [];

function secret(name: string, text: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function issue(name: string): { readonly cert: string; readonly key: string } {
  const { chain, key } = authority.issue({ name, dns: ["localhost"], addresses: ["127.0.0.1"] });
  return { cert: secret(`${name}.pem`, chain.toString()), key: secret(`${name}.key`, key.toString()) };
}

async function start(config: object): Promise<RunningNode> {
  const node = await startNode({ http: false, ...config } as never, { logger: silentLogger });
  ends.push(() => node.close());
  return node;
}

beforeEach(async () => {
  folder = temporaryFolder();
  secret("ca.pem", authority.certificate);
  secret("lamp.psk", "8f2b0c5d71e94a6602cc18a35be7f4d9");
  secret("other.psk", "00112233445566778899aabbccddeeff");
  for (const name of ["us", "lp"]) writeContextPair(join(folder, "rd-contexts", name), join(folder, name));
  writeContextPair(undefined, join(folder, "stranger"));
  config = {
    ...{ name: "rd", http: false, listen: ["coap://[::1]:0", "coap+tcp://[::1]:0", "coaps+tcp://127.0.0.1:0"] },
    tls: { ...issue("rd"), ca: join(folder, "ca.pem"), clients: "optional", psk: { lamp: join(folder, "lamp.psk") } },
    oscore: { contexts: join(folder, "rd-contexts") },
    registration: {},
  };
  rd = await start(config);
  await coap.post(`${at("coap")}/rd?ep=lamp1&base=coap://lamp1.example`, '</l>;rt="light"', { contentFormat: 40 });
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const at = (scheme: string): string => rd.uris.find((uri) => uri.startsWith(`${scheme}:`)) ?? "";
const LAMP = '<coap://lamp1.example/l>;rt="light"';

async function run(...args: string[]): Promise<{ status: number; text: string; errors: string }> {
  const io = new FakeIo();
  const status = await runCli(args, io);
  return { status, text: io.lines.join("\n"), errors: io.errors.join("\n") };
}

/** Ways to ask the RD: the scheme, and options; `@` stands for the folder. */
const WAYS = [
  { scheme: "coaps+tcp", given: "--ca @/ca.pem" },
  { scheme: "coaps+tcp", given: "--psk lamp=@/lamp.psk" },
  { scheme: "coap", given: "--oscore @/us" },
  { scheme: "coap+tcp", given: "--oscore @/us" },
  { scheme: "coaps+tcp", given: "--ca @/ca.pem --oscore @/us" },
];

describe.each(WAYS)("$scheme with $given", ({ scheme, given }) => {
  const options = (): string[] => given.replaceAll("@", folder).split(" ");

  test("lookup", async () => {
    expect(await run("lookup", "res", "--at", at(scheme), ...options())).toEqual({ status: 0, text: LAMP, errors: "" });
  });

  test("lookup --watch", async () => {
    const io = new FakeIo();
    const done = runCli(["lookup", "ep", "d=hall", "--at", at(scheme), "--watch", ...options()], io);
    await eventually(
      async () => {
        const ep = `watched${io.lines.length}`;
        await coap.post(`${at("coap")}/rd?ep=${ep}&d=hall&base=coap://h`, "</w>", { contentFormat: 40 });
        return io.lines.some((line) => line.startsWith("+ ") && line.includes('ep="watched'));
      },
      { what: "what is registered" },
    );
    io.stop();
    await done;
  });

  test("probe", async () => {
    const { status, text } = await run("probe", at(scheme), ...options());
    expect(status).toBe(0);
    expect(text).toMatch(/^registrations +1$/m);
  });

  test("diff", async () => {
    const { status, text } = await run("diff", at(scheme), at(scheme), ...options());
    expect({ status, text }).toEqual({ status: 0, text: "no difference: 2 links" });
  });

  test("register, renewed and removed", async () => {
    const io = new FakeIo();
    const done = runCli(
      ["register", "--at", at(scheme), "--ep", "door", "--base", "coap://h", ...options(), "</d>"],
      io,
    );
    await io.line(/^registered /);
    expect((await coap.get(`${at("coap")}/rd-lookup/res?ep=door`)).text()).toBe("<coap://h/d>");
    io.stop();
    expect(await done).toBe(0);
    expect(rd.directory.counts().total).toBe(1);
  });
});

test("with --oscore nothing leaves a command unprotected", async () => {
  const relay = await CountingRelay.open(at("coap"));
  const context = ["--oscore", join(folder, "us")];
  expect((await run("lookup", "ep", "--at", relay.uri, ...context)).status).toBe(0);
  const io = new FakeIo();
  const done = runCli(["register", "--at", relay.uri, "--ep", "door", "--base", "coap://h", ...context], io);
  await io.line(/^registered /);
  io.stop();
  await done;
  expect(relay.requests.length).toBeGreaterThan(4);
  expect([...new Set(relay.requests.map(({ target }) => target))]).toEqual(["/"]);
});

test("a proxied endpoint keeps a connection over TLS", async () => {
  const port = await freePort("127.0.0.1");
  const proxying = await start({
    ...{ name: "rd", listen: ["coap://127.0.0.1:0", "coap+tcp://127.0.0.1:0", "coaps+tcp://127.0.0.1:0"] },
    tls: { ...issue("proxying"), psk: { lamp: join(folder, "lamp.psk") } },
    registration: { proxy: { ports: `${port}` } },
  });
  const secured = proxying.uris.find((uri) => uri.startsWith("coaps+tcp:")) ?? "";
  const files = join(folder, "files");
  mkdirSync(files);
  writeFileSync(join(files, "state.txt"), "closed");
  const io = new FakeIo();
  const options = ["--ep", "door", "--proxy", "--serve", files, "--psk", `lamp=${join(folder, "lamp.psk")}`];
  const done = runCli(["register", "--at", secured, ...options, "</state.txt>;rt=door"], io);
  ends.push(() => {
    io.stop();
    return done;
  });
  await io.line(/^registered /);
  const [entry] = [...proxying.directory.inspect()];
  expect((await coap.get(`${entry?.registration.base}/state.txt`)).text()).toBe("closed");
});

test("why asks an upstream under the context for it", async () => {
  const http = await freePort("127.0.0.1");
  writeContextPair(join(folder, "rd-contexts", "proxy"), join(folder, "lp-contexts", "rd"));
  await rd.reload(config as never);
  const lp = await start({
    ...{ name: "lp", listen: ["coap://[::1]:0"], http: `127.0.0.1:${http}` },
    oscore: { contexts: join(folder, "lp-contexts") },
    lookup: { upstreams: [{ name: "rd", uri: at("coap"), oscore: "rd" }] },
  });
  await eventually(() => lp.directory.counts().total === 1, { what: "lamp1" });
  const relay = await CountingRelay.open(at("coap"));
  const api = `http://127.0.0.1:${http}`;
  const context = `${at("coap")}=${join(folder, "us")}`;
  const { status, text } = await run("why", "ep=lamp1", "--at", api, "--oscore", context);
  expect(status).toBe(0);
  expect(text).toMatch(/rd +live .*coap:/);
  expect(relay.requests).toEqual([]);
  const stranger = await run("why", "ep=lamp1", "--at", api, "--oscore", `${at("coap")}=${join(folder, "stranger")}`);
  expect(stranger.text).toContain("Security context not found");
});

describe("wrong ones", () => {
  test.each([
    ["another authority", "coaps+tcp", () => ["--ca", secret("x.pem", createTestAuthority("x").certificate)]],
    ["no authority", "coaps+tcp", () => []],
    ["another key", "coaps+tcp", () => ["--psk", `lamp=${join(folder, "other.psk")}`]],
    ["another context", "coap", () => ["--oscore", join(folder, "stranger")]],
  ] as const)("%s: status 1, and why", async (_name, scheme, options) => {
    const { status, text, errors } = await run("lookup", "ep", "--at", at(scheme), "--timeout", "5", ...options());
    expect({ status, text }).toEqual({ status: 1, text: "" });
    expect(errors).toMatch(/^tributary: ./);
  });

  test.each([
    [["--ca", "ca.pem", "--at", "coap://[::1]"], "--ca is not used with coap://[::1]; write coaps+tcp://[::1]"],
    [["--ca", "ca.pem"], "--ca is not used with coap://localhost"],
    [["--cert", "rd.pem", "--at", "coaps+tcp://[::1]"], "--cert without --cert-key"],
    [["--cert-key", "rd.key", "--at", "coaps+tcp://[::1]"], "--cert-key without --cert"],
    [["--psk", "lamp.psk", "--at", "coaps+tcp://[::1]"], "write --psk lamp-7=lamp-7.key"],
    [["--psk", "a=b", "--ca", "c", "--at", "coaps+tcp://[::1]"], "--psk proves both sides; leave out --ca"],
    [["--ca", "nothing.pem", "--at", "coaps+tcp://[::1]"], "--ca: nothing.pem cannot be read: there is no such file"],
    [["--psk", "a=nothing", "--at", "coaps+tcp://[::1]"], "--psk: nothing cannot be read: there is no such file"],
    [["--oscore", "/nothing"], "--oscore /nothing: there is no settings.json in it; add one"],
    [["--oscore", "coap://[::1]/x=/nothing"], "has a path or query"],
  ])("%j is status 2", async (args, message) => {
    for (const command of [
      ["lookup", "ep"],
      ["register", "--ep", "x"],
    ]) {
      const { status, errors } = await run(...command, ...args);
      expect(status).toBe(2);
      expect(errors).toContain(message);
    }
  });

  test("a context that a node uses is not used by a command", async () => {
    const { status, errors } = await run(
      "lookup",
      "ep",
      "--at",
      at("coap"),
      "--oscore",
      join(folder, "rd-contexts/us"),
    );
    expect(status).toBe(2);
    expect(errors).toContain("is in use by process");
  });
});
