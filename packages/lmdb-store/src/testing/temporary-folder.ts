import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@tributary/runtime";

/** A path for state in a folder of its own, and what removes that folder. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "tributary-state-"));
  return { path: join(folder, "state"), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface Said {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

/** A logger that remembers. */
export function listeningLogger() {
  const said: Said[] = [];
  const at = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    said.push({ level, message, fields });
  };
  return { said, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A clock whose times are set by hand; its timers never fire. */
export function stoppedClock(
  wallMs: number,
  nowMs = 0,
): Clock & { set(times: { wallMs?: number; nowMs?: number }): void } {
  const times = { wallMs, nowMs };
  return {
    nowMs: () => times.nowMs,
    wallMs: () => times.wallMs,
    setTimer: () => ({ cancel: () => {} }),
    set: (next) => void Object.assign(times, next),
  };
}
