import { execFile } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** Reading through a very large state must not keep the start waiting for ever, ms. */
const READ_THROUGH_MS = 300_000;
/** What the program that reads state through says when all of it could be read. */
const SOUND = "sound";

/** Why LMDB cannot read the state in `path`, which was found to be in order; null: it can, or is not done in time. */
export async function secondOpinion(path: string): Promise<string | null> {
  const program = fileURLToPath(new URL(`./read-through${extname(import.meta.url)}`, import.meta.url));
  return new Promise((resolve) => {
    let isLate = false;
    const options = { env: { ...process.env, NODE_NO_WARNINGS: "1" } };
    const child = execFile(process.execPath, [program, path], options, (error, stdout, stderr) => {
      clearTimeout(timer);
      if (error === null || isLate || stdout.includes(SOUND)) resolve(null);
      else resolve(stdout || lastError(stderr) || `reading it ended with ${error.signal ?? `status ${error.code}`}`);
    });
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, READ_THROUGH_MS);
    // The database may hang while the process ends. What it found is said before that, and does not depend on it.
    child.stdout?.on("data", (text: string) => {
      if (text.includes(SOUND)) child.kill("SIGKILL");
    });
  });
}

function lastError(text: string): string {
  return (
    text
      .split("\n")
      .filter((line) => /Error/.test(line))
      .at(-1)
      ?.trim() ?? ""
  );
}
