import { readFileSync } from "node:fs";
import type { HostUptime } from "./state-clock.js";

/** How long the host has run, time asleep included (Linux); null elsewhere. */
export function hostUptime(): HostUptime | null {
  try {
    const hostStart = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
    return hostStart !== "" && Number.isFinite(uptimeMs) ? { hostStart, uptimeMs } : null;
  } catch {
    return null;
  }
}
