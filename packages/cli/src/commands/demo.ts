import { type CommandIo, EXIT_FAILURE } from "../command-io.js";
import type { DemoScenario } from "../demo/scenario.js";
import { SCENARIOS } from "../demo/scenarios.js";
import { formatTable } from "../table.js";

/** `tributary demo`: plays a scenario of the draft with real exchanges on loopback. Resolves with the exit status. */
export async function demo(io: CommandIo, scenario: DemoScenario, paceS: number): Promise<number> {
  try {
    const { interrupt: signal, packets } = io;
    const tracing = packets === undefined ? {} : { packets };
    await scenario.play({ print: (line) => io.out(line), signal, paceMs: paceS * 1000, ...tracing });
    return 0;
  } catch (error) {
    if (io.interrupt.aborted) return 0;
    io.err(`tributary: the demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT_FAILURE;
  }
}

/** Lists the scenarios. Returns the exit status. */
export function listScenarios(io: CommandIo): number {
  const rows = SCENARIOS.map(({ name, summary }) => [name, summary]);
  for (const line of formatTable(["SCENARIO", "WHAT IT SHOWS"], rows)) io.out(line);
  return 0;
}
