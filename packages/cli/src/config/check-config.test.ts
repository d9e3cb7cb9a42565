import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkConfig } from "./check-config.js";
import { loadConfig } from "./load-config.js";
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
        registrationBytes: 4096,
        observers: 10,
        exchanges: 20,
        transfers: 30,
        answers: 35,
        verifiedPeers: 40,
        connections: 50,
        connectionsPerAddress: 6,
        messageBytes: 65_536,
        queueBytes: 70_000,
        connectionRequests: 8,
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
        exchanges: 4096,
        transfers: 1024,
        answers: 32_768,
        verifiedPeers: 10_000,
        connections: 1024,
        connectionsPerAddress: 128,
        messageBytes: 131_072,
        queueBytes: 1_048_576,
        connectionRequests: 64,
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
