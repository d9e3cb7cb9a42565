// read-through FOLDER: reads every record of the databases in FOLDER with LMDB, and prints "sound" if that works. It is a process
// of its own because a damaged database can crash the process that reads it. It has no imports of its own package, so that it runs
// compiled or not.
import { open } from "lmdb";

const [folder] = process.argv.slice(2);
const environment = open({ path: folder as string, maxDbs: 16, readOnly: true });
for (const name of ["records", "registrations", "positions", "replicas", "times", "upstreams"]) {
  // A database that was never written to does not exist, which is fine.
  const records = environment.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
  for (const { value } of records?.getRange() ?? []) {
    if (value === undefined) throw new Error(`a record of ${name} has no value`);
  }
}
process.stdout.write("sound");
process.exit(0);
