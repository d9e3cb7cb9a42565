import { silentLogger } from "@tributary/runtime";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CommandIo } from "./command-io.js";

/** Receives the exit status of a command. */
export type Finish = (status: number) => void;
/** Adds one command to the program. Heavy modules are imported when the command runs. */
export type CommandRegistration = (program: Command, io: CommandIo, finish: Finish) => void;

/** The option `--trace`, of the commands that open sockets. */
export function traceOption(): Option {
  return new Option("--trace <what>", "log each message to stderr: coap").choices(["coap"]);
}

/** The option `--trace` as parsed. */
export interface TraceFlag {
  readonly trace?: "coap";
}

/** Runs a command that logs its messages when that is wanted. */
export async function traced(
  io: CommandIo,
  { trace }: TraceFlag,
  run: (io: CommandIo) => Promise<number>,
): Promise<number> {
  if (trace === undefined) return await run(io);
  const { createProcessLogger } = await import("@tributary/node");
  const { logger, close } = createProcessLogger(
    { stream: io.stderr, nowMs: Date.now },
    { level: "trace", format: "text" },
  );
  try {
    const { trace: logPacket } = logger;
    const packets = { ...silentLogger, ...(logPacket === undefined ? {} : { trace: logPacket }) };
    return await run(Object.assign(Object.create(io) as CommandIo, { packets }));
  } finally {
    await close();
  }
}

/** The option `--timeout`, in seconds. */
export function timeoutOption(description: string, seconds: number): Option {
  return secondsOption("--timeout <seconds>", description, seconds, 0.01);
}

/** An option with a number of seconds from `least` to 3600. */
export function secondsOption(flags: string, description: string, seconds: number, least: number): Option {
  return new Option(flags, description).default(seconds).argParser((text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value < least || value > 3600) {
      throw new InvalidArgumentError(`It is a number of seconds from ${least} to 3600.`);
    }
    return value;
  });
}
