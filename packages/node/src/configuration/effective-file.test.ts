// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of variables is the subject
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { checkConfig } from "./check-configuration.js";
import { defaultConfig } from "./defaults.js";
import { effectiveFile } from "./effective-file.js";
import { loadConfig } from "./load-configuration.js";
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
  const files = globSync(["deploy/examples/**/*.yaml", "test/config/good/*.yaml", "deploy/compose/*/*.yaml"], {
    cwd: ROOT,
  });
  const configs = files.flatMap((file) => {
    const result = loadConfig(`${ROOT}${file}`);
    return result.ok ? [[file, result.config] as const] : [];
  });

  test("there are configurations to test with", () => {
    expect(configs.length).toBeGreaterThan(10);
  });

  test.each(configs)("%s means the same", (_file, config) => {
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

  test("times have units, and every default is there", () => {
    const text = effectiveFile(configOf("{ name: lp, lookup: { upstreams: [coap://rd.example.com] } }"));
    expect(text).toContain("    - name: rd.example.com\n      uri: coap://rd.example.com\n      mode: replicate\n");
    expect(text).toContain("      assumed-lifetime: 25h\n");
    expect(text).toContain("  cache:\n    entries: 10000\n");
  });
});
