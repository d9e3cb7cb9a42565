import { readFileSync } from "node:fs";
import type { HostUptime } from "./state-clock.js";

/** Returns the uptime of the host, including suspended time (Linux); null on other systems. */
export function hostUptime(): HostUptime | null {
  try {
    const hostStart = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
    return hostStart !== "" && Number.isFinite(uptimeMs) ? { hostStart, uptimeMs } : null;
  } catch {
    return null;
  }
}
