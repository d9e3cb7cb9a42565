import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { METHOD } from "@tributary/coap-transport";
import { silentLogger } from "@tributary/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SecurityContext } from "../context/security-context.js";
import { MemoryStore } from "../testing/memory-store.js";
import { checkContextFolder, openContextAlone, openContextFolder } from "./context-folder.js";

const SETTINGS = { "sender-id_hex": "01", "recipient-id_hex": "02", secret_hex: "0102030405060708090a0b0c0d0e0f10" };
const REQUEST = { code: METHOD.GET, options: [], payload: new Uint8Array(0) };

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "oscore-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, settings: unknown, file = "settings.json"): void {
  mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, name, file), typeof settings === "string" ? settings : JSON.stringify(settings), {
    mode: 0o600,
  });
}

function open(logger = silentLogger) {
  return openContextFolder({ logger, randomBytes: (length) => new Uint8Array(length) }, root);
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

describe("contexts", () => {
  test("are named like their folders, several of one identity included", () => {
    write("lamp", SETTINGS);
    write("site/one", { ...SETTINGS, "recipient-id_hex": "03" });
    write("site/two", { ...SETTINGS, "recipient-id_hex": "03", "id-context_hex": "aa" });
    const folder = open();
    expect(folder.names).toEqual(["lamp", "site/one", "site/two"]);
    const found = folder.find(hex("03"), undefined);
    expect(found.map(({ name, identity }) => [name, identity])).toEqual([
      ["site/one", "site"],
      ["site/two", "site"],
    ]);
    expect(folder.find(hex("03"), hex("aa")).map(({ name }) => name)).toEqual(["site/two"]);
    expect(folder.find(hex("04"), undefined)).toEqual([]);
    folder.close();
  });

  test("may have their secrets in a file of their own", () => {
    const { secret_hex, ...settings } = SETTINGS;
    write("lamp", settings);
    write("lamp", { secret_hex }, "secret.json");
    const folder = open();
    expect(folder.named("lamp")?.context.parameters.masterSecret).toEqual(hex(secret_hex));
    folder.close();
  });

  test.each([
    { name: "nothing there", settings: null, problem: "there is no folder with a settings.json" },
    { name: "no JSON", settings: "{", problem: "lamp/settings.json: it is not JSON" },
    { name: "no secret", settings: { ...SETTINGS, secret_hex: undefined }, problem: "secret_hex is missing; add it" },
    { name: "hexadecimal", settings: { ...SETTINGS, secret_hex: "0x12" }, problem: "secret_hex is not hexadecimal" },
    { name: "short secret", settings: { ...SETTINGS, secret_hex: "0102" }, problem: "secret: it has 2 bytes; write 8" },
    {
      name: "plain value",
      settings: { ...SETTINGS, secret_hex: undefined, secret: "x" },
      problem: "write it as secret_hex",
    },
    {
      name: "long ID",
      settings: { ...SETTINGS, "sender-id_hex": "00".repeat(8) },
      problem: "it has 8 bytes; write 0 to 7",
    },
    { name: "same IDs", settings: { ...SETTINGS, "sender-id_hex": "02" }, problem: "the same as sender-id" },
    { name: "algorithm", settings: { ...SETTINGS, algorithm: "ROT13" }, problem: "write one of AES-CCM-16-64-128" },
    { name: "hash", settings: { ...SETTINGS, "kdf-hashfun": "md5" }, problem: "write one of sha256" },
    { name: "window", settings: { ...SETTINGS, window: 0 }, problem: "write a whole number from 1" },
    { name: "twice", settings: { ...SETTINGS, secret_ascii: "0123456789" }, problem: "secret is given twice" },
  ])("a mistake is named: $name", ({ settings, problem }) => {
    if (settings !== null) write("lamp", settings);
    expect(() => checkContextFolder(root)).toThrow(problem);
  });

  test("two that cannot be told apart are refused", () => {
    write("lamp", SETTINGS);
    write("switch", SETTINGS);
    expect(() => checkContextFolder(root)).toThrow("switch and lamp have the same recipient-id");
    expect(() => open()).toThrow("switch and lamp have the same recipient-id");
  });

  test.each([
    { name: "keys that everybody can read", file: "lamp/settings.json", mode: 0o644, problem: "read by everybody" },
    { name: "keys that a group can write", file: "lamp/settings.json", mode: 0o660, problem: "written by its group" },
    {
      name: "numbers that a group can write",
      file: "lamp/sequence.json",
      mode: 0o664,
      problem: "written by its group",
    },
    { name: "a folder that everybody can write", file: "lamp", mode: 0o777, problem: "written by everybody" },
  ])("$name are refused", ({ file, mode, problem }) => {
    write("lamp", SETTINGS);
    write("lamp", '{"next-to-send": 1, "received": "unknown"}', "sequence.json");
    checkContextFolder(root);
    chmodSync(join(root, file), mode);
    expect(() => checkContextFolder(root)).toThrow(problem);
    expect(() => open()).toThrow(`${join(root, file)}: it can be`);
  });

  test("keys that the group may read are used, and settings without keys that all may read", () => {
    const { secret_hex, ...settings } = SETTINGS;
    write("lamp", settings);
    chmodSync(join(root, "lamp/settings.json"), 0o644);
    write("lamp", { secret_hex }, "secret.json");
    chmodSync(join(root, "lamp/secret.json"), 0o640);
    open().close();
  });

  test("one process uses them at a time", () => {
    write("lamp", SETTINGS);
    const folder = open();
    expect(() => open()).toThrow("is in use by process");
    folder.close();
    open().close();
  });
});

describe("a single context", () => {
  const deps = { logger: silentLogger, randomBytes: (length: number) => new Uint8Array(length) };

  test("is used by one process at a time, whether alone or with its folder", () => {
    write("lamp", SETTINGS);
    const alone = openContextAlone(deps, join(root, "lamp"));
    expect(alone.context.protectRequest(REQUEST).binding.partialIv).toEqual(Uint8Array.of(0));
    expect(() => open()).toThrow(`${join(root, "lamp")} is in use by process`);
    alone.close();
    const folder = open();
    expect(() => openContextAlone(deps, join(root, "lamp"))).toThrow("is in use by process");
    expect(folder.named("lamp")?.context.protectRequest(REQUEST).binding.partialIv).toEqual(Uint8Array.of(1));
    folder.close();
    openContextAlone(deps, join(root, "lamp")).close();
  });

  test("a folder without settings is none", () => {
    write("lamp", SETTINGS);
    expect(() => openContextAlone(deps, root)).toThrow(`${root}: there is no settings.json in it; add one`);
  });
});

describe("reload", () => {
  test("contexts come, go and change; those that are as before are the same", () => {
    for (const name of ["kept", "gone", "changed"])
      write(name, { ...SETTINGS, "recipient-id_ascii": name.slice(0, 4), "recipient-id_hex": undefined });
    const folder = open();
    const kept = folder.named("kept");
    rmSync(join(root, "gone"), { recursive: true });
    write("changed", { ...SETTINGS, secret_hex: "11".repeat(16) });
    write("new", { ...SETTINGS, "recipient-id_hex": "07" });
    expect(folder.reload()).toEqual({ added: ["new"], removed: ["gone"], changed: ["changed"] });
    expect(folder.named("kept")).toBe(kept);
    expect(folder.named("gone")).toBeUndefined();
    expect(folder.find(hex("07"), undefined).map(({ name }) => name)).toEqual(["new"]);
    folder.close();
  });

  test("with a mistake nothing changes", () => {
    write("lamp", SETTINGS);
    const folder = open();
    const before = folder.named("lamp");
    write("lamp", { ...SETTINGS, secret_hex: "11".repeat(16) });
    write("switch", "{");
    expect(() => folder.reload()).toThrow("switch/settings.json: it is not JSON");
    expect(folder.named("lamp")).toBe(before);
    expect(before?.context.protectRequest(REQUEST).binding.partialIv).toEqual(Uint8Array.of(0));
    folder.close();
  });

  test("renewed keys continue with the numbers of the old ones, which nothing uses any more, and await a proof of freshness", () => {
    write("lamp", SETTINGS);
    const folder = open();
    const before = folder.named("lamp")?.context;
    before?.protectRequest(REQUEST);
    write("lamp", { ...SETTINGS, secret_hex: "11".repeat(16) });
    folder.reload();
    expect(() => before?.protectRequest(REQUEST)).toThrow("replaced or closed");
    const after = folder.named("lamp")?.context;
    expect(after?.protectRequest(REQUEST).binding.partialIv).toEqual(Uint8Array.of(1));
    const peer = new SecurityContext(
      { store: new MemoryStore(), randomBytes: (length) => new Uint8Array(length), onError: () => {} },
      { ...(after as SecurityContext).parameters, senderId: hex("02"), recipientId: hex("01") },
      32,
    );
    const { message } = peer.protectRequest(REQUEST);
    const received = { ...message, token: new Uint8Array(0), wireBytes: 0 };
    const header = { partialIv: Uint8Array.of(0), kid: hex("02") };
    expect(after?.openRequest(received, header).isFresh).toBe(false);
    folder.close();
  });
});

describe("sequence.json", () => {
  const sequence = (): string => readFileSync(join(root, "lamp/sequence.json"), "utf8").trim();

  test("says before the first use that a crash leaves the window unknown, and the exact state at the end", () => {
    write("lamp", { ...SETTINGS, window: 64 });
    const folder = open();
    folder.named("lamp")?.context.protectRequest(REQUEST);
    expect(sequence()).toBe('{"next-to-send": 1000, "received": "unknown"}');
    folder.close();
    expect(sequence()).toBe('{"next-to-send": 1, "received": {"index": 0, "bitfield": 0}}');
  });

  test("a context that was not used has none", () => {
    write("lamp", SETTINGS);
    open().close();
    expect(() => sequence()).toThrow("ENOENT");
  });

  test("what aiocoap wrote is read, with windows beyond 53 bits", () => {
    write("lamp", { ...SETTINGS, window: 64 });
    const bits = 2n ** 60n + 1n;
    write("lamp", `{"next-to-send": 77, "received": {"index": 5, "bitfield": ${bits}}}`, "sequence.json");
    const folder = open();
    const context = folder.named("lamp")?.context;
    expect(context?.protectRequest(REQUEST).binding.partialIv).toEqual(Uint8Array.of(77));
    folder.close();
    expect(sequence()).toBe(`{"next-to-send": 78, "received": {"index": 6, "bitfield": ${2n ** 59n}}}`);
  });

  test.each(["", "{", "{}", '{"next-to-send": -1, "received": "unknown"}', '{"next-to-send": 1, "received": 3}'])(
    "a damaged one is refused, since numbers could be used twice: %s",
    (text) => {
      write("lamp", SETTINGS);
      write("lamp", text, "sequence.json");
      expect(() => open()).toThrow("numbers could be used twice");
    },
  );
});
