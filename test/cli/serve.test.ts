import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runCli } from "@tributary/cli";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeIo } from "./fake-node.js";

/** A command whose stderr is kept. */
class ServeIo extends FakeIo {
  readonly log = new PassThrough();
  override readonly stderr = this.log as unknown as typeof process.stderr;
  text = "";

  constructor() {
    super();
    this.log.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
    });
  }
}

let folder: string;
const stops: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tributary-serve-"));
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  rmSync(folder, { recursive: true });
});

function configFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

interface Served {
  readonly io: ServeIo;
  readonly done: Promise<number>;
  readonly uri: string;
  readonly http: string;
}

/** Serve until the ready line. */
async function serve(text: string, name = "node.yaml"): Promise<Served> {
  const io = new ServeIo();
  const done = runCli(["serve", "-c", configFile(name, text)], io);
  stops.push(() => {
    io.stop();
    return done;
  });
  const ready = await Promise.race([
    io.line(/^ready /),
    done.then((code) => Promise.reject(new Error(`ended with ${code}: ${io.text}`))),
  ]);
  const uri = /listen=([^,\s]+)/.exec(ready)?.[1] ?? "";
  await expect.poll(() => io.text).toContain(" ready ");
  return { io, done, uri, http: /http=(\S+)/.exec(io.text)?.[1] ?? "" };
}

const RD = 'name: rd-a\nlisten: ["coap://127.0.0.1:0"]\nhttp: "127.0.0.1:0"\nregistration:\n';

async function lookup(...args: string[]): Promise<string[]> {
  const io = new FakeIo();
  const code = await runCli(["lookup", ...args], io);
  if (code !== 0) throw new Error(io.errors.join("\n"));
  return io.lines;
}

describe("serve", () => {
  test("says ready, serves CoAP and HTTP, and closes with status 0", async () => {
    const { io, done, uri, http } = await serve(RD);
    expect(io.lines).toEqual([`ready name=rd-a listen=${uri}`]);
    expect(await (await fetch(`${http}/healthz`)).text()).toBe("ok\n");
    expect((await fetch(`${http}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${http}/api/node`)).json()).toMatchObject({
      name: "rd-a",
      listen: [uri],
      roles: ["rd"],
    });
    expect(await (await fetch(`${http}/metrics`)).text()).toContain("process_cpu_seconds_total");
    io.stop();
    expect(await done).toBe(0);
    await expect(fetch(`${http}/healthz`)).rejects.toThrow();
    expect(io.text).toContain("closed name=rd-a");
  });

  test("an endpoint that registers is found, and is gone after it is interrupted", async () => {
    const { uri, http } = await serve(RD);
    const endpoint = new FakeIo();
    const registered = runCli(
      ["register", "--at", uri, "--ep", "node1", "--base", "coap://[2001:db8::1]", '</t>;rt="temp"'],
      endpoint,
    );
    await endpoint.line(/^registered/);
    expect(await lookup("ep", "--at", uri, "rt=temp")).toEqual([expect.stringContaining('ep="node1"')]);
    expect(await lookup("res", "--at", uri)).toEqual([expect.stringContaining("<coap://[2001:db8::1]/t>")]);
    const { registrations } = (await (await fetch(`${http}/api/registrations`)).json()) as { registrations: object[] };
    expect(registrations).toMatchObject([{ source: "local", ep: "node1", state: "visible", links: 1 }]);
    endpoint.stop();
    expect(await registered).toBe(0);
    expect(await lookup("ep", "--at", uri)).toEqual([]);
  });

  test("--watch shows endpoints as they come and go", async () => {
    const { uri } = await serve(RD);
    const watcher = new FakeIo();
    const watching = runCli(["lookup", "ep", "--at", uri, "--watch"], watcher);
    const endpoint = new FakeIo();
    const registered = runCli(["register", "--at", uri, "--ep", "node1"], endpoint);
    await watcher.line(/^\+ .*ep="node1"/);
    endpoint.stop();
    await watcher.line(/^- .*ep="node1"/);
    watcher.stop();
    expect(await Promise.all([watching, registered])).toEqual([0, 0]);
  });

  test("a lookup proxy shows the endpoints of its upstreams, and status shows the upstreams", async () => {
    const rd = await serve(RD, "rd.yaml");
    const lp = await serve(
      `name: lp-z\nlisten: ["coap://127.0.0.1:0"]\nhttp: "127.0.0.1:0"\nlookup:\n  upstreams: [{ name: rd-a, uri: "${rd.uri}" }]\n`,
      "lp.yaml",
    );
    const endpoint = new FakeIo();
    const registered = runCli(["register", "--at", rd.uri, "--ep", "node1"], endpoint);
    await endpoint.line(/^registered/);
    await expect.poll(() => lookup("ep", "--at", lp.uri)).toEqual([expect.stringContaining(`<${rd.uri}/reg/`)]);
    await expect.poll(async () => (await fetch(`${lp.http}/readyz`)).status).toBe(200);
    const status = new FakeIo();
    expect(await runCli(["status", "--at", lp.http], status)).toBe(0);
    expect(status.lines[0]).toMatch(/^lp-z \(lookup proxy, version [\d.]+\) up for \d+s, at coap:/);
    expect(status.lines.find((line) => line.startsWith("rd-a"))).toMatch(/^rd-a +live +feed +all +1 /);
    endpoint.stop();
    await registered;
  });

  test("SIGHUP takes over new upstreams; a broken file changes nothing", async () => {
    const lp = 'name: lp-z\nlisten: ["coap://127.0.0.1:0"]\nhttp: "127.0.0.1:0"\nlookup:\n  upstreams: ';
    const { io, http } = await serve(`${lp}["coap://127.0.0.1:9"]\n`);
    const names = async (): Promise<string[]> =>
      ((await (await fetch(`${http}/api/upstreams`)).json()) as { name: string }[]).map(({ name }) => name);
    expect(await names()).toEqual(["127.0.0.1:9"]);
    configFile("node.yaml", `${lp}["coap://127.0.0.1:9", { name: new, uri: "coap://127.0.0.1:10" }]\n`);
    io.hangUp();
    await expect.poll(names).toEqual(["127.0.0.1:9", "new"]);
    configFile("node.yaml", `${lp}[5]\n`);
    io.hangUp();
    await expect.poll(() => io.text).toContain("the configuration is unchanged");
    expect(io.text).toContain("node.yaml:5:15: an upstream is 5");
    expect(await names()).toEqual(["127.0.0.1:9", "new"]);
  });
});

describe("without a file", () => {
  test("two RDs and a proxy that follows both, from the command line alone", async () => {
    const start = async (...args: string[]): Promise<string> => {
      const io = new ServeIo();
      const done = runCli(["serve", "--listen", "coap://127.0.0.1:0", "--http", "false", ...args], io);
      stops.push(() => {
        io.stop();
        return done;
      });
      return (await io.line(/^ready /)).replace(/^.*listen=/, "");
    };
    const [one, two] = await Promise.all([start("--name", "rd-a"), start("--name", "rd-b")]);
    const proxy = await start("--upstream", one, "--upstream", two);
    const endpoint = new ServeIo();
    const registered = runCli(["register", "--at", two, "--ep", "lamp1", "</l>"], endpoint);
    await endpoint.line(/^registered /);
    const watch = new ServeIo();
    const watched = runCli(["lookup", "ep", "--at", proxy, "--watch"], watch);
    await watch.line(/lamp1/);
    for (const io of [watch, endpoint]) io.stop();
    await Promise.all([registered, watched]);
  });

  test.each([
    [["--listen", "coap://[::1]:99999"], 'tributary: listen "coap://[::1]:99999": the port is larger than 65535'],
    [["--upstream", "rd.example.com"], 'tributary: uri "rd.example.com" is not a URI'],
    [["--name", ""], "tributary: name is"],
    [["-c", "site.yaml", "--name", "x"], "tributary: --name and --config exclude each other; write it into site.yaml"],
  ])("%j is status 2", async (args, message) => {
    const io = new ServeIo();
    expect(await runCli(["serve", ...args], io)).toBe(2);
    expect(io.errors.join("\n")).toContain(message);
  });
});

describe("what cannot be bound ends with status 1 and a clear message", () => {
  test("CoAP", async () => {
    const taken = createSocket("udp4").bind(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address();
    const io = new ServeIo();
    const config = configFile("node.yaml", `listen: ["coap://127.0.0.1:${port}"]\nhttp: false\nregistration:\n`);
    expect(await runCli(["serve", "-c", config], io)).toBe(1);
    taken.close();
    expect(io.text).toContain(`cannot bind UDP 127.0.0.1 port ${port}: it is in use`);
    expect(io.lines).toEqual([]);
  });

  test("HTTP", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const io = new ServeIo();
    const config = configFile(
      "node.yaml",
      `listen: ["coap://127.0.0.1:0"]\nhttp: "127.0.0.1:${port}"\nregistration:\n`,
    );
    expect(await runCli(["serve", "-c", config], io)).toBe(1);
    taken.close();
    expect(io.text).toContain(`cannot bind HTTP on 127.0.0.1:${port}: the address is in use`);
    expect(io.lines).toEqual([]);
  });
});
