import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatConfigError } from "../configuration/errors.js";
import { startNode } from "../start-node.js";
import { checkConnections } from "../system/check-connections.js";
import { loadConfigAndContexts } from "./check-contexts.js";

let root = "";
let file = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tributary-contexts-"));
  file = join(root, "tributary.yaml");
  writeFileSync(
    file,
    `listen: ["coap://[::1]:0"]
http: false
oscore: { contexts: contexts }
lookup:
  upstreams:
    - { uri: "coap://[::1]:1", oscore: rd-a, timeout: 50ms }
`,
  );
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, settings: object = {}): string {
  const folder = join(root, "contexts", name);
  mkdirSync(folder, { recursive: true });
  const all = {
    "sender-id_hex": "01",
    "recipient-id_ascii": name.slice(0, 7),
    secret_hex: "00".repeat(16),
    ...settings,
  };
  writeFileSync(join(folder, "settings.json"), JSON.stringify(all), { mode: 0o600 });
  return join(folder, "settings.json");
}

async function errors(): Promise<string[]> {
  const result = await loadConfigAndContexts(file);
  return result.ok ? [] : result.errors.map(formatConfigError);
}

test("a folder as it should be has no errors", async () => {
  write("rd-a");
  expect(await errors()).toEqual([]);
});

test("the error says where a name without context is, and what would be right", async () => {
  for (const name of ["lamp", "rd-b"]) write(name);
  const contexts = join(root, "contexts");
  expect(await errors()).toEqual([`${file}:6:40: ${contexts} has no context rd-a; write one of lamp, rd-b`]);
});

test("keys that others can read are an error, for `check` and for a node alike", async () => {
  const settings = write("rd-a");
  chmodSync(settings, 0o644);
  const problem = `${settings}: it can be read by everybody on this machine; restrict it: chmod g-w,o= ${settings}`;
  expect(await errors()).toEqual([`${file}:3:21: ${problem}`]);
  const config = { http: false, registration: {}, oscore: { contexts: join(root, "contexts") } };
  const code = "CONFIG_INVALID";
  await expect(startNode(config as never)).rejects.toMatchObject({ code, message: `oscore.contexts: ${problem}` });
});

test("check --connect says that a running node has the contexts, and asks where none has", async () => {
  write("rd-a");
  const result = await loadConfigAndContexts(file);
  if (!result.ok) throw new Error("errors");
  expect((await checkConnections(result.config))[0]?.state).toBe("wrong");
  const node = await startNode(result.config);
  expect(await checkConnections(result.config)).toEqual([
    {
      subject: "upstream [::1]:1 at coap://[::1]:1",
      state: "unknown",
      detail: `${join(root, "contexts")} is in use by process ${process.pid}`,
    },
  ]);
  await expect(startNode(result.config)).rejects.toMatchObject({ code: "IN_USE" });
  await node.close();
});
