// Clients that register more than there is room for, each from an address 127.0.0.x of its own, until there have been refusals enough
// or the time is up. They stand for other machines: this process leaves the processor to the nodes under test whenever they want it.
// Arguments: the file for what it found (`PressedNode`), the port of the RD, how many clients, how long at most in ms or 0, and how
// many refusals are enough or 0.
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { type CodeCounts, HeavyClient } from "./heavy-client.ts";

/** What the clients got. */
export interface PressedNode {
  readonly codes: CodeCounts;
  /** Clients whose connection was closed by the node. */
  readonly lost: number;
}

const LOWEST_PRIORITY = 19;
const CHECK_PAUSE_MS = 50;

const [file = "", ...numbers] = process.argv.slice(2);
const [port = 0, count = 0, durationMs = 0, enoughRefusals = 0] = numbers.map(Number);
setPriority(LOWEST_PRIORITY);

let number = 0;
const clients = Array.from(
  { length: count },
  (_, at) => new HeavyClient(port, `127.0.0.${2 + at}`, () => count * 1_000_000 + number++),
);

function sum(): CodeCounts {
  const codes: CodeCounts = {};
  for (const client of clients)
    for (const [code, times] of Object.entries(client.codes)) codes[code] = (codes[code] ?? 0) + times;
  return codes;
}

async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) await new Promise((resolve) => setTimeout(resolve, CHECK_PAUSE_MS));
}

const endMs = performance.now() + durationMs;
const isEnough = () => (durationMs > 0 ? performance.now() >= endMs : (sum()["5.03"] ?? 0) >= enoughRefusals);
await until(() => isEnough() || clients.every(({ isClosed }) => isClosed));
const lost = clients.filter(({ isClosed }) => isClosed).length;
// What is registered does not change after this, so that it can be compared with what there is after a start.
for (const client of clients) client.end();
await until(() => clients.every(({ isClosed }) => isClosed));
writeFileSync(file, JSON.stringify({ codes: sum(), lost } satisfies PressedNode));
