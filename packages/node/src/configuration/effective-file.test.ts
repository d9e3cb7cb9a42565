// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of variables is the subject
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkConfig } from "./check-configuration.js";
import { defaultConfig } from "./defaults.js";
import { effectiveFile } from "./effective-file.js";
import type { NodeConfig } from "./types.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

function configOf(text: string, variables: Readonly<Record<string, string>> = {}): NodeConfig {
  const result = checkConfig(
    text,
    "/elsewhere/site.yaml",
    () => [],
    (name) => variables[name],
  );
  if (!result.ok) throw new Error(`${JSON.stringify(result.errors)}\n${text}`);
  return result.config;
}

describe("effectiveFile", () => {
  // Without the files with keys that they name.
  const files = globSync(["deploy/examples/**/*.yaml", "test/config/good/*.yaml", "deploy/compose/{lp,rd-*}.yaml"], {
    cwd: ROOT,
  });

  test("there are configurations to test with", () => {
    expect(files.length).toBeGreaterThan(10);
  });

  test.each(files)("%s means the same", (file) => {
    const config = configOf(readFileSync(`${ROOT}${file}`, "utf8"));
    expect(configOf(effectiveFile(config))).toEqual(config);
  });

  test("the default configuration means the same", () => {
    expect(configOf(effectiveFile(defaultConfig()))).toEqual(defaultConfig());
  });

  test.each([
    "lookup: { upstreams: [{ uri: coap+tcp://h, mode: forward, timeout: 1500ms, default-sector: '007' }] }",
    "{ listen: [coaps+tcp://h], tls: { ca: a, cert: b, key: c, psk: { __proto__: d, x-y: e, 'true': f } }, registration: }",
    "lookup: { upstreams: [{ name: a, uris: [coaps+tcp://h, coaps+tcp://i], tls: { ca: a, server-name: rd } }, { uri: coaps+tcp://j, tls: { psk: { me: k } } }] }",
    "registration: { store: { nats: { servers: ['nats://h:4222'], partition: accept, journal: j, user: u, password-file: p } } }",
    "{ listen: [coap+tcp://h], registration: { proxy: { names: Rd.Example.com. } } }",
    "{ listen: [coap+tcp://h], registration: { proxy: { ports: 9000, host: '2001:db8::1', grace: 0 } } }",
    "{ http: false, lookup: , registration: { store: 'lmdb:no' }, snapshot: 'yes' }",
    "{ http: '[::1]:0', lookup: { ready: 1, upstreams: [{ uri: coap://h, filters: ['rt=a b&d=\"x\"*', 'if=#1: 2'] }] } }",
    "{ oscore: { contexts: c }, lookup: { upstreams: [{ uri: coap://h, oscore: a }], ready: all, on-partial: fail } }",
    "{ listen: [coaps+tcp://h], tls: { psk: { me: k } }, registration: { freshness: echo, replicas: [] } }",
    "registration: { store: { nats: { servers: ['tls://h'], tls: { ca: c }, monitoring: ['http://h:8222'], replicas: 1 } } }",
    "{ http: '[fe80::1%eth0]:80', registration: , log: { format: json }, limits: { memory: 1048576 } }",
    `{ name: a, registration: , advertise: ['<coap://h/a>;rt="b";title="q\\"\\\\, x",<coap://h/c>;x'] }`,
  ])("%s means the same", (text) => {
    const config = configOf(text);
    expect(configOf(effectiveFile(config))).toEqual(config);
  });

  test("what looks like a variable in a value is no variable in what is printed", () => {
    const config = configOf("lookup: { upstreams: [{ uri: coap://h, filters: ['title=${TITLE}'] }] }", {
      TITLE: "${HOME} and $x",
    });
    expect(config.lookup?.upstreams[0]?.filters[0]).toMatchObject([{ value: "${HOME} and $x" }]);
    expect(configOf(effectiveFile(config))).toEqual(config);
  });

  test("any text means the same, whatever YAML makes of it without quotes", () => {
    const awkward = [
      "null",
      "~",
      "yes",
      "0123",
      "1e3",
      "0x1f",
      "1_000",
      "- a",
      "a: b",
      "#",
      "& *",
      "!!str",
      "|",
      "'",
      '"',
      "\\",
      "$${",
      "${A",
    ];
    const text = fc.oneof(
      fc.constantFrom(...awkward),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
      fc.string({
        unit: fc.constantFrom("$", "{", "}", " ", ":", "#", "'", '"', "\\", "\u2028", "\ufeff", "\u00a0", "-"),
      }),
    );
    const base = configOf("lookup: { upstreams: [coap://h] }");
    fc.assert(
      fc.property(text, text, (sector, criterion) => {
        fc.pre(/^\P{Cc}+$/u.test(sector) && Buffer.byteLength(sector) <= 63 && !/[&\p{Cc}]/u.test(criterion));
        const [upstream] = base.lookup?.upstreams ?? [];
        if (base.lookup === undefined || upstream === undefined) throw new Error("no upstream");
        const filters = [[{ name: "title", value: criterion.replace(/\*$/, ""), isPrefix: false }]];
        const upstreams = [{ ...upstream, defaultSector: sector, filters }];
        const config = { ...base, lookup: { ...base.lookup, upstreams } };
        expect(configOf(effectiveFile(config))).toEqual(config);
      }),
    );
  });

  test("times have units, and every default is there", () => {
    const text = effectiveFile(configOf("{ name: lp, lookup: { upstreams: [coap://rd.example.com] } }"));
    expect(text).toContain("    - name: rd.example.com\n      uri: coap://rd.example.com\n      mode: replicate\n");
    expect(text).toContain("      assumed-lifetime: 25h\n");
    expect(text).toContain("  cache:\n    entries: 10000\n");
  });
});
