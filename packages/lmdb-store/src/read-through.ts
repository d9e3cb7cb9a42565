// read-through FOLDER…: read every record of the databases in FOLDER, in a process of its own, because a damaged database
// can end the process that reads it. Standalone: it runs as it is, compiled or not. "sound" on stdout: it is; exit status 3: another format.
import { type Database, open } from "lmdb";

const [folder, format] = process.argv.slice(2);
const environment = open({ path: folder as string, maxDbs: 8, readOnly: true });
// One that was never written to does not exist, which is in order.
const database = (name: string, encoding: "json" | "binary"): Database<unknown, string> | undefined =>
  environment.openDB({ name, encoding });
const found = database("meta", "json")?.get("format");
if (found !== undefined && found !== Number(format)) {
  process.stdout.write(`its format is ${JSON.stringify(found)}, not ${format}`);
  process.exit(3);
}
for (const name of ["registrations", "positions", "replicas", "times", "upstreams"]) {
  for (const { value } of database(name, "binary")?.getRange() ?? []) {
    if (value === undefined) throw new Error(`a record of ${name} has no value`);
  }
}
process.stdout.write("sound");
process.exit(0);
