import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CODE,
  type CoapClient,
  coap,
  METHOD,
  openCoapClient,
  type TlsClientCredentials,
} from "@tributary/coap-transport";
import { createTestAuthority } from "@tributary/coap-transport/testing";
import { type RunningNode, systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { startTestNode } from "../harness/nodes.js";
import { MODES } from "../modes/promises.js";
import { describeWithPeers, eventually, runTlsClient } from "../peers/peers.js";

const folder = mkdtempSync(join(tmpdir(), "tributary-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function secret(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const authority = createTestAuthority();
const ca = secret("ca.pem", authority.certificate);
const issued = (name: string) => {
  const { chain, key } = authority.issue({ name, dns: ["localhost"], addresses: ["127.0.0.1"] });
  return { cert: secret(`${name}.pem`, chain.toString()), key: secret(`${name}.key`, key.toString()) };
};
const rdCertificate = issued("rd");
const lpCertificate = issued("lp");
/** libcoap's client takes the key as it is, not in hexadecimal digits. */
const KEY_OF_LAMP = "sixteen-byte-key";
const LAMP_KEY = "8f2b0c5d71e94a6602cc18a35be7f4d9";
const psk = secret("lp.psk", LAMP_KEY);

/** A directory that only serves those who prove who they are; registrations come in over plain CoAP on loopback. */
async function startDirectory(): Promise<RunningNode> {
  return startTestNode({
    name: "rd",
    listen: ["coaps+tcp://127.0.0.1:0", "coap://127.0.0.1:0"],
    tls: { ...rdCertificate, ca, clients: "optional", psk: { lp: psk } },
    registration: {},
  });
}

const uriOf = (node: RunningNode, scheme: string): string =>
  node.uris.find((uri) => uri.startsWith(`${scheme}://`)) ?? expect.fail(`no ${scheme} in ${node.uris}`);

async function register(rd: RunningNode, ep: string): Promise<void> {
  await coap.post(`${uriOf(rd, "coap")}/rd?ep=${ep}&d=hall&base=coap://${ep}.example`, '</l>;rt="light"', {
    contentFormat: 40,
  });
}

const CREDENTIALS = {
  certificate: { ...lpCertificate, ca },
  "pre-shared key": { psk: { lp: psk } },
};

test.each(
  MODES.flatMap((mode) =>
    (["certificate", "pre-shared key"] as const).flatMap((proof) =>
      [false, true].map((isCoHosted) => ({ mode, proof, isCoHosted })),
    ),
  ),
)("mode $mode above an RD over TLS, $proof, co-hosted $isCoHosted: what is registered is shown", async (row) => {
  const { mode, proof, isCoHosted } = row;
  const rd = await startDirectory();
  await register(rd, "lamp1");
  const settings = mode === "filters" ? { filters: ["d=hall"] } : { mode };
  const lp = await startTestNode({
    name: "lp",
    listen: ["coap://127.0.0.1:0"],
    ...(isCoHosted ? { registration: {} } : {}),
    lookup: {
      upstreams: [{ name: "rd", uri: uriOf(rd, "coaps+tcp"), tls: CREDENTIALS[proof], ...settings }],
      cache: { entries: 0 },
    },
  });
  const shown = async () => (await coap.get(`${lp.uris[0]}/rd-lookup/res?d=hall`)).text();
  await eventually(async () => (await shown()) === '<coap://lamp1.example/l>;rt="light"', { what: "lamp1" });
  await register(rd, "lamp2");
  await eventually(async () => (await shown()).includes("coap://lamp2.example/l"), { what: "lamp2" });
});

test("an RD whose certificate another authority signed, and one that gets a wrong key, are not followed", async () => {
  const rd = await startDirectory();
  await register(rd, "lamp1");
  const otherAuthority = secret("other-ca.pem", createTestAuthority("somebody else").certificate);
  const otherKey = secret("other.psk", "00112233445566778899aabbccddeeff");
  for (const tls of [{ ca: otherAuthority }, { psk: { lp: otherKey } }, { psk: { nobody: psk } }]) {
    const lp = await startTestNode({
      name: "lp",
      listen: ["coap://127.0.0.1:0"],
      lookup: { timeout: "500ms", upstreams: [{ name: "rd", uri: uriOf(rd, "coaps+tcp"), tls, mode: "forward" }] },
    });
    const response = await coap.get(`${lp.uris[0]}/rd-lookup/ep`);
    expect(response.text()).not.toContain("lamp1");
  }
});

test("a reload reads the files again: new connections see them, those that are open continue", async () => {
  const [cert, key, keyFile] = ["turned.pem", "turned.key", "turned.psk"].map((name) => join(folder, name));
  const turn = (name: string, digits: string) => {
    const next = authority.issue({ name, addresses: ["127.0.0.1"] });
    secret("turned.pem", next.chain);
    secret("turned.key", next.key);
    secret("turned.psk", digits);
  };
  turn("before", LAMP_KEY);
  const config = {
    ...{ name: "rd", http: false, listen: ["coaps+tcp://127.0.0.1:0"], registration: {} },
    tls: { cert, key, psk: { lamp: keyFile } },
  };
  const rd = await startTestNode(config);
  const get = { method: METHOD.GET, uri: `${uriOf(rd, "coaps+tcp")}/.well-known/core` };
  const byKey = (digits: string) => ({ preSharedKey: { identity: "lamp", key: Buffer.from(digits, "hex") } });
  const trusting = { authorities: authority.certificate };
  const [open, openByKey] = [await clientWith(trusting), await clientWith(byKey(LAMP_KEY))];
  const first = (await open.request(get)).peer;
  const firstByKey = (await openByKey.request(get)).peer;
  expect(first.identity?.names).toContain("before");

  const otherKey = "00112233445566778899aabbccddeeff";
  turn("after", otherKey);
  await rd.reload(config);
  expect((await open.request(get)).peer.key).toBe(first.key);
  expect((await openByKey.request(get)).peer.key).toBe(firstByKey.key);
  expect((await (await clientWith(trusting)).request(get)).peer.identity?.names).toContain("after");
  expect((await (await clientWith(byKey(otherKey))).request(get)).code).toBe(CODE.CONTENT);
  await expect((await clientWith(byKey(LAMP_KEY))).request(get)).rejects.toMatchObject({ code: "UNREACHABLE" });

  secret("turned.pem", "damaged");
  await expect(rd.reload(config)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  expect((await (await clientWith(trusting)).request(get)).peer.identity?.names).toContain("after");
});

async function clientWith(tls: TlsClientCredentials): Promise<CoapClient> {
  const client = await openCoapClient({ env: systemEnvironment(silentLogger) }, { tls: () => tls });
  onTestFinished(() => client.close());
  return client;
}

describeWithPeers(["libcoap"], "clients of libcoap over TLS", () => {
  test.each(["openssl", "gnutls"] as const)("%s: registration and lookup with certificates", async (library) => {
    const rd = await startDirectory();
    const uri = uriOf(rd, "coaps+tcp");
    const proof = ["-c", lpCertificate.cert, "-j", lpCertificate.key, "-R", ca];
    await runTlsClient(library, [...proof, "-m", "post", "-t", "40", "-e", "</l>", `${uri}/rd?ep=tls1&base=coap://h`]);
    const found = await runTlsClient(library, [...proof, "-m", "get", `${uri}/rd-lookup/res?ep=tls1`]);
    expect(found.stdout.trim()).toBe("<coap://h/l>");
  });

  test.each(["openssl", "gnutls"] as const)(
    "%s: the same with a pre-shared key; nothing with a wrong one",
    async (library) => {
      const raw = secret("raw.psk", Buffer.from(KEY_OF_LAMP).toString("hex"));
      const keyed = await startTestNode({
        name: "keyed",
        listen: ["coaps+tcp://127.0.0.1:0"],
        tls: { psk: { lamp: raw } },
        registration: {},
      });
      const proof = ["-u", "lamp", "-k", KEY_OF_LAMP];
      await runTlsClient(library, [
        ...proof,
        "-m",
        "post",
        "-t",
        "40",
        "-e",
        "</l>",
        `${keyed.uris[0]}/rd?ep=k1&base=coap://h`,
      ]);
      const found = await runTlsClient(library, [...proof, "-m", "get", `${keyed.uris[0]}/rd-lookup/res?ep=k1`]);
      expect(found.stdout.trim()).toBe("<coap://h/l>");
      const refused = await runTlsClient(library, [
        "-u",
        "lamp",
        "-k",
        "another-key-of-it",
        "-m",
        "get",
        `${keyed.uris[0]}/rd-lookup/res`,
      ]);
      expect(refused.stdout).not.toContain("coap://h/l");
    },
  );
});
