import type { Logger } from "@tributary/runtime";
import winston from "winston";
import type { LogConfig } from "../configuration/types.js";

/** A logger that can be closed. */
export interface ProcessLogger {
  readonly logger: Logger;
  /** Resolves when all entries have been written to the stream. Idempotent. */
  close(): Promise<void>;
}

type Level = LogConfig["level"];
type Fields = Readonly<Record<string, unknown>>;

interface Entry {
  readonly timeMs: number;
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

/** Width of the level column. */
const LEVEL_WIDTH = 5;
/** Longest value of a field in the text format: input from the network must not flood the log. */
const MAX_VALUE_LENGTH = 2000;

/**
 * Creates a logger that writes one line per entry to a stream. `nowMs` is the wall clock, ms since the epoch.
 * Text: `2026-01-01T00:00:00.000Z info  message key=value …`; JSON: one object with `time`, `level`, `message` and the fields.
 */
export function createProcessLogger(
  deps: { readonly stream: NodeJS.WritableStream; readonly nowMs: () => number },
  options: LogConfig,
): ProcessLogger {
  const format = options.format === "json" ? formatJson : formatText;
  const sink = winston.createLogger({
    levels: { error: 0, warn: 1, info: 2, debug: 3, trace: 4 },
    level: options.level,
    format: winston.format.printf((info) => format(info.entry as Entry)),
    transports: [new winston.transports.Stream({ stream: deps.stream, eol: "\n" })],
  });
  const log =
    (level: Level) =>
    (message: string, fields: Fields = {}) => {
      sink.log({ level, message, entry: { timeMs: deps.nowMs(), level, message, fields } satisfies Entry });
    };
  let closing: Promise<void> | undefined;
  return {
    logger: {
      ...(options.level === "trace" ? { trace: log("trace") } : {}),
      debug: log("debug"),
      info: log("info"),
      warn: log("warn"),
      error: log("error"),
    },
    close() {
      closing ??= new Promise((resolve) => {
        sink.once("finish", resolve);
        sink.end();
      });
      return closing;
    },
  };
}

function formatText({ timeMs, level, message, fields }: Entry): string {
  const head = `${new Date(timeMs).toISOString()} ${level.padEnd(LEVEL_WIDTH)} ${escapeControl(message)}`;
  return Object.entries(fields).reduce((line, [key, value]) => `${line}${textField(key, value)}`, head);
}

function textField(key: string, value: unknown): string {
  if (value === undefined) return "";
  const full = fieldText(value);
  const text = full.length > MAX_VALUE_LENGTH ? `${full.slice(0, MAX_VALUE_LENGTH)}…` : full;
  return ` ${key}=${/^[^\s"=\p{C}]+$/u.test(text) ? text : escapeControl(JSON.stringify(text))}`;
}

function fieldText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return describeError(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(",");
  return stringify(value);
}

function formatJson({ timeMs, level, message, fields }: Entry): string {
  const plain = Object.entries(fields).map(([key, value]) => [
    key,
    value instanceof Error ? describeError(value) : value,
  ]);
  // The members of the entry come last, so that no field replaces them.
  return stringify({ ...Object.fromEntries(plain), time: new Date(timeMs).toISOString(), level, message });
}

/** Describes an error in one line: its code, if any, its message, and its causes. */
function describeError(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  const own = code === undefined || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
  return error.cause instanceof Error ? `${own} (${describeError(error.cause)})` : own;
}

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value, replacer) ?? String(value);
  } catch (error) {
    return `[not loggable: ${error instanceof Error ? error.message : String(error)}]`;
  }
}

function replacer(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return value;
}

/** Escapes control characters, so that input from the network cannot move the cursor or forge a line. */
function escapeControl(text: string): string {
  return text.replace(/\p{Cc}|\u2028|\u2029/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
