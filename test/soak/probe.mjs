// Loaded into a node under soak: collects garbage and reports its memory and event-loop delay to the parent process.
import { monitorEventLoopDelay } from "node:perf_hooks";

const INTERVAL_MS = 2000;
const NANOSECONDS_PER_MS = 1_000_000;
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

const timer = setInterval(() => {
  const delayMs = delay.percentile(99) / NANOSECONDS_PER_MS;
  const longestMs = delay.max / NANOSECONDS_PER_MS;
  globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  // The collection is this probe's doing and not counted as a delay.
  delay.reset();
  if (process.connected)
    process.send({ atMs: performance.now(), liveBytes: heapUsed + external, rss, delayMs, longestMs });
}, INTERVAL_MS);
timer.unref();
process.channel?.unref();
