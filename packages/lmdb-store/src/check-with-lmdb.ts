import { execFile } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** Time-out of the check, ms: a very large state must not delay the start forever. */
const READ_THROUGH_MS = 300_000;
/** Output of `read-through` when all records could be read. */
const SOUND = "sound";

/** Reads the state in `path` with LMDB in another process. Returns the problem; null when there is none, or at the time-out. */
export async function checkWithLmdb(path: string): Promise<string | null> {
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
    // The database may hang while the process exits. The output comes before that, so the process can be killed.
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
