// read-through FOLDER: read every record of the databases in FOLDER with LMDB, in a process of its own, because a damaged
// database can end the process that reads it. Standalone: it runs as it is, compiled or not. "sound" on stdout: it is.
import { open } from "lmdb";

const [folder] = process.argv.slice(2);
const environment = open({ path: folder as string, maxDbs: 16, readOnly: true });
for (const name of ["records", "registrations", "positions", "replicas", "times", "upstreams"]) {
  // A database that was never written to does not exist, which is in order.
  const records = environment.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
  for (const { value } of records?.getRange() ?? []) {
    if (value === undefined) throw new Error(`a record of ${name} has no value`);
  }
}
process.stdout.write("sound");
process.exit(0);
