import type { Command } from "commander";
import type { CommandIo } from "./command-io.js";
import type { Finish } from "./command-options.js";

/** `tributary store`. */
export function addStore(program: Command, io: CommandIo, finish: Finish): void {
  const store = program
    .command("store")
    .summary("bring the registrations of a store out and back")
    .description("Bring the registrations of the store that a configuration names out into a file, and back.");
  store
    .command("export")
    .summary("write the registrations of a store to a file")
    .description(
      "Write the registrations of a store to a file: JSON, one a line, with a checksum. A store on disk must not be in use; " +
        "one that is shared may be. The file of a shared store has the secret that its paths follow from: only its owner " +
        "may read it.",
    )
    .argument("<file>", "the file; an earlier one is replaced when the new one is complete")
    .requiredOption("-c, --config <file>", "configuration (YAML) of the node")
    .action(async (file: string, { config }: { config: string }) => {
      const { storeExport } = await import("./commands/store.js");
      finish(await storeExport({ config, file }, io));
    });
  store
    .command("import")
    .summary("bring the registrations of a file into a store")
    .description(
      "Bring the registrations of a file into a store, which may have some already: of two with one (ep, d) the one that " +
        "was renewed last counts. Lifetimes go on; what has ended is left out. A shared store is made where it is missing. " +
        "Nothing is written unless the whole file is as it was written.",
    )
    .argument("<file>", "a file of `store export`")
    .requiredOption("-c, --config <file>", "configuration (YAML) of the node")
    .option("--new-paths", "take registrations over although their paths change: their endpoints register again")
    .action(async (file: string, options: { config: string; newPaths?: true }) => {
      const { storeImport } = await import("./commands/store.js");
      finish(await storeImport({ ...options, file }, io));
    });
}
