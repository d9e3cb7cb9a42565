import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoredRegistration } from "@tributary/resource-directory";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FilePart, readRegistrationFile, writeRegistrationFile } from "./registration-file.js";

const REGISTRATION: StoredRegistration = {
  ...{ id: "42", ep: "node1", d: "é", base: "coap://[2001:db8::1]", isBaseExplicit: true, ltS: 90, isSimple: false },
  ...{ attributes: [["et", "oic"]], links: "</t>;rt=temp", renewedAtWallMs: 7, stampMs: 8.5, zone: "eth0" },
};
const header = { writtenAtMs: 0, secret: new Uint8Array(32).fill(7) };
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "backup-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

async function partsOf(path: string): Promise<FilePart[]> {
  const parts: FilePart[] = [];
  for await (const part of readRegistrationFile(path)) parts.push(part);
  return parts;
}

describe("a file of registrations", () => {
  test("has what was written", async () => {
    const path = join(folder, "rd.jsonl");
    const long = { ...REGISTRATION, id: "rd-2/43", ep: "long", links: `</${"x".repeat(200_000)}>` };
    expect(await writeRegistrationFile(path, header, [REGISTRATION, long])).toBe(2);
    const [first, ...rest] = await partsOf(path);
    expect(first).toMatchObject({ kind: "header", header: { writtenAtMs: 0 } });
    expect(first?.kind === "header" && Buffer.from(first.header.secret ?? []).equals(header.secret)).toBe(true);
    expect(rest).toEqual([REGISTRATION, long].map((registration) => ({ kind: "registration", registration })));
    expect(readdirSync(folder)).toEqual(["rd.jsonl"]);
  });

  test("stays as it was when another one cannot be written in its place", async () => {
    const path = join(folder, "kept.jsonl");
    await writeRegistrationFile(path, header, [REGISTRATION]);
    const before = readFileSync(path, "utf8");
    function* failing() {
      yield REGISTRATION;
      throw new Error("no more");
    }
    await expect(writeRegistrationFile(path, header, failing())).rejects.toThrow("no more");
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(readdirSync(folder)).not.toContain("kept.jsonl.part");
  });

  test.each([
    { name: "is empty", change: () => "", error: ":1: the end is missing" },
    { name: "is cut", change: (text: string) => text.slice(0, -100), error: "it is not JSON" },
    {
      name: "ends early",
      change: (text: string) => text.split("\n").slice(0, 2).join("\n"),
      error: "the end is missing",
    },
    { name: "was changed", change: (text: string) => text.replace('"ltS":90', '"ltS":91'), error: "the checksum" },
    { name: "lacks a line", change: (text: string) => text.replace(/\n.*\n/, "\n"), error: "it has 0 registrations" },
    { name: "goes on", change: (text: string) => `${text}{}\n`, error: "after the last line" },
    { name: "is another version", change: (text: string) => text.replace('"version":1', '"version":2'), error: ":1: " },
    {
      name: "has something else",
      change: (text: string) => text.replace('"ep"', '"pe"'),
      error: ":2: it is not a reg",
    },
    {
      name: "has bytes that are no text",
      change: (text: string) => text.replace("é", "\xff"),
      error: ":2: it is not J",
    },
  ])("that $name is refused", async ({ change, error }) => {
    const path = join(folder, "damaged.jsonl");
    await writeRegistrationFile(path, header, [REGISTRATION]);
    const text = readFileSync(path, "utf8");
    const changed = change(text);
    writeFileSync(path, changed, changed.includes("\xff") ? "latin1" : "utf8");
    await expect(partsOf(path)).rejects.toMatchObject({
      code: "BACKUP_DAMAGED",
      message: expect.stringContaining(error),
    });
  });
});
