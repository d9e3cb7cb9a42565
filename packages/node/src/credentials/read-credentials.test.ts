import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority } from "@tributary/coap-transport/testing";
import { afterAll, describe, expect, test } from "vitest";
import { readCredentials } from "./read-credentials.js";
import type { TlsConfig, TlsSettings } from "./types.js";

const folder = mkdtempSync(join(tmpdir(), "tributary-credentials-"));
afterAll(() => rmSync(folder, { recursive: true }));

const authority = createTestAuthority();
const own = authority.issue({ name: "lp" });
const other = authority.issue({ name: "rd" });
const HEX = "000102030405060708090a0b0c0d0e0f";

function write(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const cert = write("lp.pem", own.chain, 0o644);
const key = write("lp.key", own.key);
const ca = write("ca.pem", authority.certificate, 0o644);
const shared = write("lamp.key", `${HEX}\n`, 0o640);

function settings(
  tls: Partial<TlsConfig>,
  upstream?: NonNullable<TlsSettings["lookup"]>["upstreams"][number],
): TlsSettings {
  return {
    listen: ["coaps+tcp://[::]"],
    tls: { clients: "none", psk: {}, ...tls },
    ...(upstream === undefined ? {} : { lookup: { upstreams: [upstream] } }),
  };
}

function credentialsOf(given: TlsSettings) {
  const result = readCredentials(given);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  return result.credentials;
}

const RD = { host: "rd.example", hostIsLiteral: false, port: 5684 };

describe("what is read", () => {
  test("the listener has certificate, keys and authorities, as far as clients are asked", () => {
    const { server, ends } = credentialsOf(settings({ cert, key, ca, clients: "optional", psk: { lamp: shared } }));
    expect(server).toEqual({
      certificate: { chain: own.chain, key: own.key },
      clientAuthorities: authority.certificate,
      clientCertificates: "optional",
      preSharedKeys: new Map([["lamp", Buffer.from(HEX, "hex")]]),
    });
    expect(ends).toEqual([{ file: cert, endsAtMs: Date.UTC(2100, 0, 1) }]);
    expect(credentialsOf(settings({ cert, key, ca })).server).not.toHaveProperty("clientAuthorities");
    expect(credentialsOf({ ...settings({ cert, key }), listen: ["coap://[::]"] })).not.toHaveProperty("server");
  });

  test("upstreams have what is theirs, and otherwise what is the node's", () => {
    const uris = ["coaps+tcp://rd.example"];
    const certificate = { chain: own.chain, key: own.key };
    const common = { authorities: authority.certificate, certificate };
    const clientFor = (upstream: Parameters<typeof settings>[1], server = RD) =>
      credentialsOf(settings({ cert, key, ca }, upstream)).clientFor(server);
    expect(clientFor({ uris })).toEqual(common);
    expect(clientFor({ uris, tls: { serverName: "rd-1" } })).toEqual({ ...common, serverName: "rd-1" });
    const psk = { identity: "lp", key: shared };
    expect(clientFor({ uris, tls: { psk } })).toEqual({
      preSharedKey: { identity: "lp", key: Buffer.from(HEX, "hex") },
    });
    expect(clientFor({ uris, tls: { psk } }, { ...RD, port: 5685 })).toEqual(common);
  });
});

describe.skipIf(process.platform === "win32")("what is refused", () => {
  test.each([
    {
      name: "a key that others can read",
      tls: { cert, key: write("a.key", own.key, 0o644) },
      why: /a\.key can be read by everybody on this machine; restrict it: chmod g-w,o= /,
    },
    {
      name: "a key that the group can write",
      tls: { cert, key: write("b.key", own.key, 0o660) },
      why: /can be written by its group/,
    },
    {
      name: "an authority that others can write",
      tls: { ca: write("c.pem", authority.certificate, 0o646) },
      why: /c\.pem can be written by everybody on this machine; restrict it: chmod go-w /,
    },
    {
      name: "a shared key that others can read",
      tls: { psk: { lamp: write("d.key", HEX, 0o604) } },
      why: /can be read by everybody/,
    },
    {
      name: "the key of another certificate",
      tls: { cert, key: write("e.key", other.key) },
      why: /e\.key is not the key of .*lp\.pem/,
    },
    {
      name: "a certificate in place of a key",
      tls: { cert, key: write("f.key", own.chain) },
      why: /has no private key/,
    },
    {
      name: "a broken certificate",
      tls: { ca: write("g.pem", own.chain.replace(/[A-Z]{2}/g, "AA"), 0o600) },
      why: /has a certificate that cannot be read|has no certificate/,
    },
    {
      name: "a short shared key",
      tls: { psk: { lamp: write("h.key", HEX.slice(2)) } },
      why: /has a key of 15 bytes; write one of 16 to 64/,
    },
    { name: "a shared key as text", tls: { psk: { lamp: write("i.key", "secret") } }, why: /is not hexadecimal/ },
    {
      name: "an encrypted key",
      tls: { cert, key: write("j.key", encrypted()) },
      why: /is encrypted; write it without a passphrase/,
    },
    { name: "a huge file", tls: { ca: write("k.pem", "x".repeat(1_048_577)) }, why: /has 1048577 bytes/ },
  ])("$name", ({ tls, why }) => {
    const result = readCredentials(settings(tls));
    expect(result).toMatchObject({ ok: false, problems: [{ message: expect.stringMatching(why) }] });
    expect(JSON.stringify(result)).not.toContain(HEX);
  });
});

function encrypted(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return String(privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" }));
}
