import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CoapClient, openCoapClient } from "@tributary/coap-transport";
import { openSecurityContexts, systemEnvironment } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import { onTestFinished } from "vitest";

/** One side of a security context: the folder that has it, or nothing where only the other side is needed. */
type Side = string | undefined;

let contexts = 0;

/** Writes both halves of a new security context, in the form of aiocoap. Each side is the folder of that context. */
export function writeContextPair(one: Side, other: Side, more: object = {}): void {
  const [a, b] = [++contexts * 2, contexts * 2 + 1].map((id) => id.toString(16).padStart(4, "0"));
  const common = { secret_hex: randomBytes(16).toString("hex"), salt_hex: randomBytes(8).toString("hex"), ...more };
  writeContext(one, { "sender-id_hex": a, "recipient-id_hex": b, ...common });
  writeContext(other, { "sender-id_hex": b, "recipient-id_hex": a, ...common });
}

function writeContext(folder: Side, settings: object): void {
  if (folder === undefined) return;
  mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings), { mode: 0o600 });
}

/** A client with the contexts of a folder; unprotected requests leave it only where a request names no context. */
export async function openContextClient(folder: string): Promise<{ client: CoapClient; close(): Promise<void> }> {
  const contexts = await openSecurityContexts(silentLogger, folder);
  const env = systemEnvironment(silentLogger);
  const protect = (_uri: unknown, name: string | undefined) => (name === undefined ? null : contexts.protect(name));
  const client = await openCoapClient({ env }, { protect });
  const close = async () => {
    await client.close();
    contexts.close();
  };
  onTestFinished(close);
  return { client, close };
}
