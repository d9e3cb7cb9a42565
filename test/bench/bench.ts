// Measures everything, or the parts that are named, and writes it to docs/benchmarks.
import { fileURLToPath } from "node:url";
import { measureFanOut } from "./fan-out.ts";
import type { Findings, Tell } from "./figures.ts";
import { measureLookups } from "./lookups.ts";
import { measureObservers } from "./observers.ts";
import { measurePeers } from "./peers.ts";
import { measureRegistrations } from "./registrations.ts";
import { measureReplication } from "./replication.ts";
import { thisMachine, writeReport } from "./report.ts";
import { measureSharedAuthority } from "./shared-authority.ts";
import { measureStart } from "./start.ts";

const PARTS: Readonly<Record<string, (tell: Tell) => Promise<Findings>>> = {
  peers: measurePeers,
  lookups: measureLookups,
  registrations: measureRegistrations,
  replication: measureReplication,
  "fan-out": measureFanOut,
  observers: measureObservers,
  start: measureStart,
  "shared-authority": measureSharedAuthority,
};

const names = process.argv.slice(2).filter((word) => word !== "--");
const unknown = names.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  process.stderr.write(`there is no part ${unknown.join(", ")}; choose among ${Object.keys(PARTS).join(", ")}\n`);
  process.exit(2);
}
const tell = (line: string): void => void process.stdout.write(`${line}\n`);
const findings: Findings[] = [];
for (const [name, measure] of Object.entries(PARTS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  tell(name);
  findings.push(await measure(tell));
}
tell("");
for (const { name, wanted, measured, isMet } of findings.flatMap((one) => one.targets))
  tell(`${isMet ? "met   " : "MISSED"} ${name}: ${measured} (${wanted})`);
if (names.length === 0) {
  await writeReport(fileURLToPath(new URL("../../docs/benchmarks", import.meta.url)), thisMachine(), findings);
  tell("written to docs/benchmarks");
} else tell("nothing written: only parts were measured");
