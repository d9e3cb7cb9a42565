import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const SYSTEM_PATHS = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/** The path of the first of these commands that is there. */
export function findProgram(commands: readonly string[]): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_PATHS];
  return commands.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}
