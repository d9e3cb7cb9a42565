import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createReplicaPolicy } from "@tributary/lookup-interface";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkConfig } from "./check-configuration.js";
import { loadConfig } from "./load-configuration.js";
import type { NodeConfig } from "./types.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

function configOf(text: string): NodeConfig {
  const result = checkConfig(text, "-");
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.config;
}

function load(path: string): NodeConfig {
  const result = loadConfig(`${ROOT}${path}`);
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.config;
}

describe("checkConfig", () => {
  test("every key is read", () => {
    expect(load("test/config/good/everything.yaml")).toMatchObject({
      name: "lp-z",
      listen: ["coap://[::]", "coap+tcp://[::]", "coap://localhost:56830"],
      http: { host: "::1", port: 8683 },
      lookup: {
        timeoutMs: 1500,
        concurrency: 4,
        onPartial: "fail",
        auto: { threshold: 3, windowMs: 30_000, coldMs: 300_000, budget: 1000, families: 2 },
        cache: { entries: 100, bytes: 1_000_000, staleMs: 3_600_000, observeAfter: 3, observations: 5 },
        upstreams: [
          {
            name: "[2001:db8:23::1]",
            uri: "coap://[2001:db8:23::1]",
            mode: "replicate",
            timeoutMs: 1500,
            assumedLifetimeMs: 3_600_000,
          },
          {
            name: "rd-b",
            filters: [
              [
                { name: "d", value: "facility23.eu.example.com", isPrefix: false },
                { name: "rt", value: "temp", isPrefix: true },
              ],
              [{ name: "ep", value: "lamp", isPrefix: false }],
            ],
          },
          {
            name: "rd-c",
            mode: "forward",
            timeoutMs: 750,
            pollMs: 120_000,
            defaultSector: "default",
            assumedLifetimeMs: 86_400_000,
            authorities: ["coap://rd-c.example.com", "coaps://[2001:db8::c]"],
            elsewhere: true,
          },
          { name: "rd-d.example.com", mode: "auto", filters: [], isTier: false },
          { name: "lp.site7.example.com", mode: "replicate", filters: [], isTier: true },
        ],
      },
      registration: {
        store: { kind: "lmdb", path: resolve("test/config/state") },
        replicas: ["loopback", "private", "2001:db8::/32", "192.0.2.0/24"],
        freshness: "echo",
      },
      global: {
        pool: {
          listen: { host: "192.0.2.4", port: 49_737 },
          bootstrap: [
            { host: "192.0.2.1", port: 49_737 },
            { host: "192.0.2.2", port: 49_737 },
          ],
          records: 50_000,
        },
        key: resolve("test/config/global.pem"),
        names: "all",
        addresses: ["coap://[2001:db8::4]", "coap+tcp://192.0.2.4"],
        allow: ["private"],
        rate: 50,
        refreshMs: 18_000_000,
        timeoutMs: 1000,
      },
      anycast: {
        peers: [
          { name: "rd-b", uri: "coap://[2001:db8:23::2]", registration: true, lookup: true },
          { name: "rd-c", uri: "coap://[2001:db8:23::3]", registration: true, lookup: false },
        ],
        timeoutMs: 5000,
        failoverMs: 500,
        freshness: "none",
        concurrency: 64,
      },
      snapshot: "/var/lib/tributary/lp",
      amplification: { freeBytes: 512, trusted: ["loopback", "2001:db8::/32"] },
      advertise: [{ target: "coap://[2001:db8:23::2]/rd" }, { target: "coap://[2001:db8:23::2]/rd-lookup/ep" }],
      limits: {
        registrations: 1000,
        memory: 200_000_000,
        registrationBytes: 4096,
        observers: 10,
        exchanges: 20,
        transfers: 30,
        answers: 35,
        verifiedPeers: 40,
        connections: 50,
        connectionsPerAddress: 6,
        handshakes: 256,
        handshakesPerAddress: 64,
        messageBytes: 65_536,
        queueBytes: 70_000,
        connectionRequests: 8,
        connectionRequestBytes: 100_000,
      },
      log: { level: "debug", format: "json" },
    });
  });

  test("a key with nothing below it stands for its defaults", () => {
    const { registration, lookup, http, amplification, limits, log } = load("test/config/good/smallest.yaml");
    expect({ registration, lookup, http, amplification, limits, log }).toEqual({
      registration: { store: { kind: "memory" }, replicas: ["loopback", "private"], freshness: "none" },
      lookup: undefined,
      http: { host: "127.0.0.1", port: 8683 },
      amplification: { freeBytes: 136, trusted: ["loopback", "private"] },
      limits: {
        registrations: 1_000_000,
        registrationBytes: 65_536,
        observers: 10_000,
        observersPerClient: 2500,
        exchanges: 4096,
        transfers: 1024,
        answers: 32_768,
        verifiedPeers: 10_000,
        connections: 1024,
        connectionsPerAddress: 128,
        handshakes: 256,
        handshakesPerAddress: 64,
        messageBytes: 131_072,
        queueBytes: 1_048_576,
        connectionRequests: 64,
        connectionRequestBytes: 65_536,
      },
      log: { level: "info", format: "text" },
    });
  });

  test("defaults of a shared address; freshness is that of the registrations", () => {
    const peers = 'anycast: { peers: [{ name: b, uri: "coap://[2001:db8::2]" }] }';
    expect(configOf(`name: a\nregistration: { freshness: echo }\n${peers}`).anycast).toEqual({
      peers: [{ name: "b", uri: "coap://[2001:db8::2]", registration: true, lookup: true }],
      timeoutMs: 10_000,
      failoverMs: 1000,
      freshness: "echo",
      concurrency: 256,
    });
  });

  test("keys that begin with x- are the operator's own, in every mapping, and may hold what others refer to", () => {
    const text = [
      "x-owner: { team: [lights, 7], since: 2026-01-01 }",
      "x-timeouts: &patient 5s",
      "registration: { x-note: [] }",
      "lookup: { timeout: *patient, upstreams: [{ uri: 'coap://h', x-rack: 4 }] }",
    ].join("\n");
    const result = checkConfig(text, "site.yaml");
    expect(result).toMatchObject({
      ok: true,
      config: { lookup: { timeoutMs: 5000, upstreams: [{ uri: "coap://h" }] } },
    });
    expect(JSON.stringify(result)).not.toMatch(/x-|lights/);
    expect(checkConfig("x-a: 1", "site.yaml").ok).toBe(false);
    expect(checkConfig("registration: { xnote: 1 }", "site.yaml").ok).toBe(false);
  });

  test("anchors repeat values", () => {
    const { lookup } = load("test/config/good/anchors.yaml");
    expect(lookup?.upstreams.map(({ timeoutMs }) => timeoutMs)).toEqual([3000, 3000]);
  });

  test("aliases that multiply are stopped", () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `  - &l${level + 1} [${Array(9).fill(`*l${level}`).join(", ")}]`,
    );
    const result = checkConfig(`registration:\n  replicas:\n  - &l0 [loopback]\n${levels.join("\n")}\n`, "-");
    expect(result.ok ? [] : result.errors.map(({ message }) => message)).toContainEqual(
      expect.stringContaining("too large"),
    );
  });

  test.each(readdirSync(`${ROOT}deploy/examples`).filter((name) => name.endsWith(".yaml")))(
    "the example %s is right",
    (name) => {
      expect(load(`deploy/examples/${name}`).listen).toHaveLength(1);
    },
  );

  test.each(readdirSync(`${ROOT}deploy/examples/anycast`).filter((name) => name.endsWith(".yaml")))(
    "the example %s with a shared address is right",
    (name) => {
      const { listen, anycast, name: own } = load(`deploy/examples/anycast/${name}`);
      expect(listen).toContain("coap://[2001:db8:a::1]");
      expect(
        anycast?.peers
          .map((peer) => peer.name)
          .concat(own)
          .sort(),
      ).toEqual(["host1", "host2", "host3", "host4"]);
    },
  );

  test("without a file the node is RD and LP for this machine", () => {
    const result = loadConfig();
    expect(result.ok && result.config).toMatchObject({
      listen: ["coap://localhost"],
      http: { host: "127.0.0.1", port: 8683 },
      lookup: { upstreams: [] },
      registration: { store: { kind: "memory" } },
    });
  });

  test.each([
    { text: "2", ms: 2000 },
    { text: "0.5", ms: 500 },
    { text: "250ms", ms: 250 },
    { text: "'2 s'", ms: 2000 },
    { text: "1.5m", ms: 90_000 },
    { text: "1h", ms: 3_600_000 },
  ])("duration $text", ({ text, ms }) => {
    expect(configOf(`lookup: { timeout: ${text} }`).lookup?.timeoutMs).toBe(ms);
  });

  test("http: false disables HTTP", () => {
    expect(configOf("registration:\nhttp: false").http).toBeNull();
  });

  test("the names of prototypes are keys like any other", () => {
    const result = checkConfig("registration: {}\n__proto__: {}\nconstructor: 1\n", "f");
    expect(result.ok ? [] : result.errors.map(({ line, message }) => [line, message.split(";")[0]])).toEqual([
      [2, 'unknown key "__proto__"'],
      [3, 'unknown key "constructor"'],
    ]);
  });

  test("of a pool only the place is required; names are those of proxied endpoints where there are any", () => {
    const pool = '{ listen: "192.0.2.1:49737", bootstrap: ["192.0.2.2:49737"] }';
    const all = configOf(`registration: {}\nglobal: { pool: ${pool} }`).global;
    expect(all).toEqual({
      pool: {
        listen: { host: "192.0.2.1", port: 49_737 },
        bootstrap: [{ host: "192.0.2.2", port: 49_737 }],
        records: 200_000,
      },
      names: "all",
      allow: [],
      rate: 20,
      refreshMs: 3_000_000,
      timeoutMs: 1500,
    });
    const proxied = `listen: ["coap+tcp://[::1]"]\nregistration: { proxy: {} }\nglobal: { pool: ${pool} }`;
    expect(configOf(proxied).global?.names).toBe("proxied");
  });

  test("any damage to a right file gives errors within it, never an exception", () => {
    const text = readFileSync(`${ROOT}test/config/good/everything.yaml`, "utf8");
    const edit = fc.record({
      at: fc.nat(text.length),
      cut: fc.nat(20),
      put: fc.string({ maxLength: 5, unit: "binary" }),
    });
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        const damaged = text.slice(0, at) + put + text.slice(at + cut);
        const result = checkConfig(damaged, "-");
        const lines = damaged.split(/\r\n|\n|\r/).length;
        if (!result.ok) {
          expect(result.errors.length).toBeGreaterThan(0);
          for (const { line, column, message } of result.errors) {
            expect(line).toBeLessThanOrEqual(lines);
            expect(column).toBeGreaterThan(0);
            expect(message).toMatch(/[;?]/);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("what check passes can be asked", () => {
  const messages = (text: string) => {
    const result = checkConfig(text, "-");
    return result.ok ? [] : result.errors.map(({ message }) => message);
  };

  test.each([
    { uri: "coap://[ff02::fd]", want: "is the address of a group" },
    { uri: "coap://224.0.1.187", want: "is the address of a group" },
    { uri: "coap+tcp://255.255.255.255", want: "is the address of a group" },
    { uri: "coap://192.0.2.1:0", want: "has port 0" },
    { uri: "coap://[::]", want: "stands for any address of this machine" },
    { uri: "coap://0.0.0.0", want: "stands for any address of this machine" },
    { uri: "coap://[fe80::1]", want: "is link-local; add the interface" },
  ])("an upstream or peer $uri is refused", ({ uri, want }) => {
    const refusal = expect.arrayContaining([expect.stringContaining(want)]);
    expect(messages(`lookup: { upstreams: ["${uri}"] }`)).toEqual(refusal);
    expect(messages(`registration: {}\nanycast: { peers: [{ name: b, uri: "${uri}" }] }`)).toEqual(refusal);
  });

  test("a link-local address with its interface, and a name, are taken", () => {
    expect(messages('lookup: { upstreams: ["coap://[fe80::1%25eth0]", "coap://rd.example:61616"] }')).toEqual([]);
  });

  test.each(["0123", "1e3", "0x10", "12", "1_000", "true"])("advice repeats %s as it is written", (written) => {
    const [message = ""] = messages(`name: ${written}\nregistration: {}`);
    expect(message === "" || message.endsWith(`write it in quotes: "${written}"`)).toBe(true);
    expect(messages(`name: "${written}"\nregistration: {}`)).toEqual([]);
  });

  test("a URI with brackets in a flow list is to be quoted", () => {
    expect(messages("listen: [coap://[::]:5683]\nregistration: {}")).toEqual([expect.stringContaining("in quotes")]);
  });

  test.each([
    { ready: "some", want: 'ready is "some"; write all, any, or how many' },
    { ready: "0", want: "ready is 0; write all, any, or how many" },
    { ready: "2", want: "ready asks for 2 of 1 upstreams, so this node would never be ready; write at most 1" },
  ])("lookup.ready: $ready is refused", ({ ready, want }) => {
    const text = `lookup: { ready: ${ready}, upstreams: ["coap://rd.example"] }`;
    expect(messages(text)).toEqual([expect.stringContaining(want)]);
  });

  test("lookup.ready is any, and all where a lookup fails without one of its parts", () => {
    expect(configOf("lookup: {}").lookup?.ready).toBe("any");
    expect(configOf("lookup: { on-partial: fail }").lookup?.ready).toBe("all");
    expect(configOf('lookup: { ready: 1, upstreams: ["coap://rd.example"] }').lookup?.ready).toBe(1);
  });
});

describe("deploy/examples fit together", () => {
  const files = readdirSync(`${ROOT}deploy/examples`).filter((name) => name.endsWith(".yaml"));
  const configs = files.map((name) => ({ name, config: load(`deploy/examples/${name}`) }));
  const pairs = configs.flatMap((reader) =>
    (reader.config.lookup?.upstreams ?? []).flatMap(({ uri }) =>
      configs
        .filter(({ config }) => config.listen.includes(uri))
        .map((directory) => ({ reader, directory, name: `${reader.name} may read ${directory.name}` })),
    ),
  );

  test("every pair of them is looked at", () => expect(pairs.length).toBeGreaterThanOrEqual(9));

  test.each(pairs)("$name", ({ reader, directory }) => {
    const { lookup, registration } = directory.config;
    const mayReplicate = createReplicaPolicy(registration?.replicas ?? lookup?.replicas ?? []);
    const [from = ""] = reader.config.listen;
    const address = from.slice(from.indexOf("[") + 1, from.indexOf("]"));
    expect(mayReplicate({ address, port: 5683, transport: "udp" } as Parameters<typeof mayReplicate>[0])).toBe(true);
  });
});
