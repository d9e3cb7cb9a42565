import { connect as connectPlain, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { listenCoap } from "../node/coap-listener.js";
import { openCoapClient } from "../node/open-client.js";
import type { StreamLimits } from "../tcp/limits.js";
import { createTestAuthority } from "../testing/certificates.js";
import { fromHex } from "../testing/raw-peer.js";
import { REAL_ENVIRONMENT as env } from "../testing/real-server.js";
import type {
  CoapClient,
  CoapListenerHandle,
  RequestHandler,
  TlsClientCredentials,
  TlsServerCredentials,
} from "../types.js";

const authority = createTestAuthority();
const foreign = createTestAuthority("somebody else");
const certificate = authority.issue({ name: "rd", dns: ["localhost", "rd.example"], addresses: ["127.0.0.1"] });
const lamp = authority.issue({ name: "lamp" });
const trusting: TlsClientCredentials = { authorities: authority.certificate };
const key = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const preSharedKeys = new Map([["door", key]]);
const withKey: TlsClientCredentials = { preSharedKey: { identity: "door", key } };

const whoAsks: RequestHandler = ({ peer, scheme }) => ({
  code: CODE.CONTENT,
  payload: Buffer.from(`${scheme} ${peer.transport} ${peer.identity?.kind ?? "nobody"} ${peer.identity?.name ?? ""}`),
});

async function listenTls(
  tls: TlsServerCredentials,
  streamLimits: Partial<StreamLimits> = {},
  handler = whoAsks,
): Promise<CoapListenerHandle & { readonly port: number }> {
  const listener = await listenCoap({ env, handler }, { uri: "coaps+tcp://127.0.0.1:0", tls, streamLimits });
  onTestFinished(() => listener.close());
  return { ...listener, port: Number(listener.uri.slice(listener.uri.lastIndexOf(":") + 1)) };
}

async function clientWith(credentials: TlsClientCredentials): Promise<CoapClient> {
  const client = await openCoapClient({ env }, { tls: () => credentials });
  onTestFinished(() => client.close());
  return client;
}

async function ask(credentials: TlsClientCredentials, uri: string): Promise<string> {
  const client = await clientWith(credentials);
  const { payload } = await client.request({ method: METHOD.GET, uri }, { timeoutMs: 5000 });
  return Buffer.from(payload).toString();
}

const refused = (reason: RegExp) => ({ code: "UNREACHABLE", message: expect.stringMatching(reason) });

test("a certificate of the server: requests, ping, tables", async () => {
  const listener = await listenTls({ certificate });
  const client = await clientWith(trusting);
  const response = await client.request({ method: METHOD.GET, uri: `${listener.uri}/x` });
  expect(Buffer.from(response.payload).toString()).toBe("coaps+tcp tls nobody ");
  expect(response.peer).toMatchObject({
    transport: "tls",
    identity: { kind: "certificate", name: "localhost", names: ["localhost", "rd.example", "127.0.0.1", "rd"] },
  });
  expect(await client.ping(listener.uri)).toBe(true);
  expect(listener.uri).toMatch(/^coaps\+tcp:\/\/127\.0\.0\.1:\d+$/);
  expect(listener.tableSizes()).toMatchObject({ connections: 1, handshakes: 0 });
  expect(await ask(trusting, `coaps+tcp://localhost:${listener.port}`)).toMatch(/^coaps/);
});

test("RFC 8323 5.3: 5 MB both ways in BERT blocks", async () => {
  const body = Buffer.alloc(5_000_000, "0123456789abcdef-");
  const echo: RequestHandler = ({ method, payload }) => ({
    code: CODE.CONTENT,
    payload: method === METHOD.GET ? body : payload,
  });
  const { uri } = await listenTls({ certificate }, {}, echo);
  const client = await clientWith(trusting);
  expect(body.equals((await client.request({ method: METHOD.GET, uri })).payload)).toBe(true);
  const payload = body.subarray(0, 80_000);
  expect(payload.equals((await client.request({ method: METHOD.POST, uri, payload })).payload)).toBe(true);
});

test.each([
  {
    name: "of an authority that is not trusted",
    server: foreign.issue({ addresses: ["127.0.0.1"] }),
    why: /not trusted/,
  },
  { name: "for another name", server: authority.issue({ dns: ["rd.example"] }), why: /not in the cert's list/ },
  { name: "that has expired", server: authority.issue({ addresses: ["127.0.0.1"], isExpired: true }), why: /expired/ },
])("a client refuses a server with a certificate $name", async ({ server, why }) => {
  const { uri } = await listenTls({ certificate: server });
  await expect(ask(trusting, uri)).rejects.toMatchObject(refused(why));
});

test("a client expects another name than that of the URI where that is configured", async () => {
  const { uri } = await listenTls({ certificate });
  expect(await ask({ ...trusting, serverName: "rd.example" }, uri)).toMatch(/^coaps/);
  await expect(ask({ ...trusting, serverName: "other.example" }, uri)).rejects.toMatchObject(refused(/other.example/));
});

test("connections to two names at one address are two, each verified", async () => {
  const { uri, port } = await listenTls({ certificate: authority.issue({ dns: ["localhost"] }) });
  const client = await clientWith(trusting);
  const request = (at: string) => client.request({ method: METHOD.GET, uri: at });
  expect((await request(`coaps+tcp://localhost:${port}`)).code).toBe(CODE.CONTENT);
  await expect(request(uri)).rejects.toMatchObject(refused(/127\.0\.0\.1/));
});

test.each([
  { name: "certificate required", tls: { clientAuthorities: authority.certificate } },
  { name: "certificate optional", tls: { clientAuthorities: authority.certificate, clientCertificates: "optional" } },
  { name: "certificate or key", tls: { clientAuthorities: authority.certificate, preSharedKeys } },
] as const)("client authentication, $name", async ({ tls }) => {
  const { uri, counters } = await listenTls({ certificate, ...tls });
  expect(await ask({ ...trusting, certificate: lamp }, uri)).toBe("coaps+tcp tls certificate lamp");
  const expired = authority.issue({ name: "lamp", isExpired: true });
  for (const wrong of [foreign.issue({ name: "lamp" }), expired])
    await expect(ask({ ...trusting, certificate: wrong }, uri)).rejects.toMatchObject({ code: "UNREACHABLE" });
  if ("clientCertificates" in tls) expect(await ask(trusting, uri)).toBe("coaps+tcp tls nobody ");
  else await expect(ask(trusting, uri)).rejects.toMatchObject({ code: "UNREACHABLE" });
  if ("preSharedKeys" in tls) expect(await ask(withKey, uri)).toBe("coaps+tcp tls psk door");
  else await expect(ask(withKey, uri)).rejects.toMatchObject({ code: "UNREACHABLE" });
  const causes = ["not-authenticated", "tls-handshake-failed"];
  const total = causes.reduce((sum, cause) => sum + (counters.rejected.get(cause) ?? 0), 0);
  expect(total).toBe("preSharedKeys" in tls ? 3 : "clientCertificates" in tls ? 3 : 4);
});

test.each([
  { name: "by keys alone", tls: { preSharedKeys } },
  { name: "beside a certificate", tls: { certificate, preSharedKeys } },
])("pre-shared keys $name: an unknown identity looks like a wrong key", async ({ tls }) => {
  const { uri } = await listenTls(tls);
  expect(await ask(withKey, uri)).toBe("coaps+tcp tls psk door");
  const failure = async (identity: string, wrong: Buffer): Promise<string> =>
    await ask({ preSharedKey: { identity, key: wrong } }, uri).catch(({ message }: Error) => message);
  const wrongKey = await failure("door", Buffer.alloc(16, 7));
  expect(wrongKey).toMatch(/cannot be reached by TLS/);
  expect(await failure("window", key)).toBe(wrongKey);
});

test("RFC 7252 9.1.3.1: PSK-AES128-CCM8 where no certificate is involved", async () => {
  const callback = { pskCallback: () => ({ identity: "door", psk: key }), checkServerIdentity: () => undefined };
  const options = { ...callback, ciphers: "PSK-AES128-CCM8:@SECLEVEL=0", maxVersion: "TLSv1.2" } as const;
  const keysOnly = await listenTls({ preSharedKeys });
  expect(await rawAsk(keysOnly, options)).toContain("psk door");
  const both = await listenTls({ certificate, preSharedKeys });
  expect(await rawAsk(both, options)).toMatch(/handshake failure/);
});

test("a client that names an identity and does not use its key is nobody", async () => {
  const listener = await listenTls({ certificate, preSharedKeys });
  const callback = { pskCallback: () => ({ identity: "door", psk: key }), checkServerIdentity: () => undefined };
  const ca = authority.certificate;
  expect(await rawAsk(listener, { ...callback, ca, ciphers: "TLS_AES_128_GCM_SHA256" })).toContain("psk door");
  // The hash of this suite does not fit the key, so that TLS 1.3 goes on without it.
  expect(await rawAsk(listener, { ...callback, ca, ciphers: "TLS_AES_256_GCM_SHA384" })).toContain("nobody");
});

test("sessions are not resumed", async () => {
  const listener = await listenTls({ certificate, preSharedKeys, clientAuthorities: authority.certificate });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const options = { ca: authority.certificate, cert: lamp.chain, key: lamp.key, maxVersion };
    let session: Buffer | undefined;
    await rawAsk(listener, options, (socket) => socket.on("session", (one) => (session = one)));
    expect(session).toBeDefined();
    let isReused: boolean | undefined;
    const answer = await rawAsk(listener, { ...options, session }, (socket) =>
      socket.on("secureConnect", () => (isReused = socket.isSessionReused())),
    );
    expect({ answer, isReused }).toMatchObject({ answer: expect.stringContaining("lamp"), isReused: false });
  }
});

test.each([
  { name: "coap", options: { ALPNProtocols: ["h2", "coap"] }, answer: /nobody/, protocol: "coap" },
  { name: "none", options: {}, answer: /nobody/, protocol: false },
  { name: "others", options: { ALPNProtocols: ["h2"] }, answer: /no application protocol/, protocol: null },
])("RFC 7301: a client offers $name", async ({ options, answer, protocol }) => {
  const listener = await listenTls({ certificate });
  let chosen: unknown;
  const response = await rawAsk(listener, { ...options, ca: authority.certificate }, (socket) =>
    socket.on("secureConnect", () => (chosen = socket.alpnProtocol)),
  );
  expect(response).toMatch(answer);
  expect(chosen ?? null).toBe(protocol);
});

test.each([
  { name: "TLS 1.1", options: { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } },
  { name: "no forward secrecy", options: { maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" } },
  { name: "no authentication", options: { maxVersion: "TLSv1.2", ciphers: "ADH-AES128-GCM-SHA256:@SECLEVEL=0" } },
] as const)("$name is refused", async ({ options }) => {
  const listener = await listenTls({ certificate });
  expect(await rawAsk(listener, { ...options, ca: authority.certificate })).toMatch(/^error/);
  expect(listener.counters.rejected.get("tls-handshake-failed")).toBe(1);
});

test("a plain client, or any bytes, at the port: refused, and the next one is served", async () => {
  const listener = await listenTls({ certificate });
  for (const bytes of [fromHex("00 e1"), Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(70_000, 22)]) {
    const socket = await plainConnection(listener.port);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(bytes);
    if (bytes.length === 2) socket.end();
    await closed;
  }
  expect(await ask(trusting, listener.uri)).toMatch(/^coaps/);
  expect(listener.tableSizes()).toMatchObject({ handshakes: 0 });
});

test("other credentials: who is connected stays, who connects sees them", async () => {
  const listener = await listenTls({ certificate, preSharedKeys });
  const [before, keyHolder] = [await clientWith(trusting), await clientWith(withKey)];
  const get = { method: METHOD.GET, uri: listener.uri };
  const first = await before.request(get);
  const firstKey = await keyHolder.request(get);
  listener.replaceTls?.({ certificate: authority.issue({ name: "rd-2", addresses: ["127.0.0.1"] }) });
  expect((await before.request(get)).peer.key).toBe(first.peer.key);
  expect((await keyHolder.request(get)).peer.key).toBe(firstKey.peer.key);
  const after = await clientWith(trusting);
  expect((await after.request(get)).peer.identity?.names).toEqual(["127.0.0.1", "rd-2"]);
  await expect(ask(withKey, listener.uri)).rejects.toMatchObject({ code: "UNREACHABLE" });
  const mismatch = { certificate: { chain: certificate.chain, key: lamp.key } };
  expect(() => listener.replaceTls?.(mismatch)).toThrow(/the key does not belong to the certificate/);
  expect(await ask(trusting, listener.uri)).toMatch(/^coaps/);
});

test("credentials that cannot be used are refused with words", async () => {
  await expect(listenTls({})).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  await expect(listenTls({ certificate: { chain: "none", key: "none" } })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
  const { uri } = await listenTls({ certificate });
  await expect(ask({ certificate: { chain: lamp.chain, key: certificate.key } }, uri)).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
  });
});

test("half-open handshakes: bounded, and the one who opens most gives way", async () => {
  const listener = await listenTls(
    { certificate },
    { maxHandshakes: 8, maxHandshakesPerAddress: 8, handshakeMs: 60_000 },
  );
  const flood: Socket[] = [];
  const refusedOnes: Promise<unknown>[] = [];
  for (let count = 0; count < 20; count++) {
    const socket = await plainConnection(listener.port, "127.0.0.2");
    flood.push(socket);
    if (count >= 8) refusedOnes.push(new Promise((resolve) => socket.once("close", resolve)));
  }
  await Promise.all(refusedOnes);
  expect(listener.tableSizes()).toMatchObject({ handshakes: 8 });
  expect(listener.counters.rejected.get("handshake-limit")).toBe(12);
  expect(await ask(trusting, listener.uri)).toMatch(/^coaps/);
  expect(listener.counters.rejected.get("handshake-replaced")).toBe(1);
  await listener.close();
  await Promise.all(flood.map((socket) => socket.destroyed || new Promise((resolve) => socket.once("close", resolve))));
});

test("a handshake that takes too long ends, on both sides", async () => {
  const listener = await listenTls({ certificate }, { handshakeMs: 40 });
  const silent = await plainConnection(listener.port);
  await new Promise((resolve) => silent.once("close", resolve));
  expect(listener.counters.rejected.get("handshake-timeout")).toBe(1);

  const { createServer } = await import("node:net");
  const accepted: Socket[] = [];
  const mute = createServer((socket) => void accepted.push(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await new Promise((resolve) => mute.once("listening", resolve));
  onTestFinished(() => void mute.close());
  const { port } = mute.address() as { port: number };
  const client = await openCoapClient({ env }, { tls: () => trusting, streamLimits: { handshakeMs: 40 } });
  onTestFinished(() => client.close());
  const asked = client.request({ method: METHOD.GET, uri: `coaps+tcp://127.0.0.1:${port}` });
  await expect(asked).rejects.toMatchObject(refused(/no connection in 40 ms/));
  const [socket] = accepted;
  if (socket?.destroyed === false) await new Promise((resolve) => socket.resume().once("close", resolve));
});

async function plainConnection(port: number, localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connectPlain({ port, host: "127.0.0.1", localAddress });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket.resume();
}

/** Sends a GET by the TLS of Node alone, and returns the bytes of the answer as text, or `error` and the reason. */
async function rawAsk(
  { port }: { readonly port: number },
  options: ConnectionOptions,
  watch: (socket: TLSSocket) => void = () => {},
): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, ...options });
    onTestFinished(() => void socket.destroy());
    watch(socket);
    let text = "";
    socket.on("secureConnect", () => void socket.write(Buffer.concat([fromHex("00 e1"), fromHex("01 01 07")])));
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (text.includes("coaps+tcp ")) socket.end();
    });
    socket.on("error", (error) => resolve(`error ${(error as { reason?: string }).reason ?? error.message}`));
    socket.on("close", () => resolve(text));
  });
}
