import { type CommandIo, EXIT_FAILURE } from "../command-io.js";
import { openDemoFederation } from "../demo/demo-federation.js";
import { tellStory } from "../demo/story.js";

/** Tell the draft's section 6.2 with real exchanges on loopback. Resolves with the exit status. */
export async function demo(io: CommandIo): Promise<number> {
  const federation = await openDemoFederation();
  try {
    await tellStory({ federation, tell: (line) => io.out(line), signal: io.interrupt });
    return 0;
  } catch (error) {
    if (io.interrupt.aborted) return 0;
    io.err(`tributary: the demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT_FAILURE;
  } finally {
    await federation.close();
  }
}
