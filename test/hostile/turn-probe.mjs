// Loaded into a node: measures the CPU time of each turn of its event loop, so that a busy machine does not matter, without
// that of the garbage collector, and the longest pause of that. On SIGUSR2 it writes both since the last time, in ms, to the file
// TURN_FILE.
import { renameSync, writeFileSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";

// Marking in steps is work of the garbage collector which no performance observer reports, in the middle of a turn.
setFlagsFromString("--no-incremental-marking");

const file = process.env.TURN_FILE;
/** Shorter turns are of no interest, ms. */
const INTERESTING_MS = 5;

const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

let turns = [];
let collections = [];
let began = { cpuMs: cpuMs(), atMs: performance.now() };

new PerformanceObserver((list) => collections.push(...list.getEntries())).observe({ entryTypes: ["gc"] });

function turn() {
  const now = { cpuMs: cpuMs(), atMs: performance.now() };
  if (now.cpuMs - began.cpuMs > INTERESTING_MS)
    turns.push({ startMs: began.atMs, endMs: now.atMs, tookMs: now.cpuMs - began.cpuMs });
  began = { cpuMs: cpuMs(), atMs: performance.now() };
  setImmediate(turn).unref();
}

// Keeps the loop turning without keeping the process alive: an immediate runs once in every turn.
setImmediate(turn).unref();
setInterval(() => {}, 1).unref();

/** The collector may have waited for the processor: its time by the wall is at least that of its CPU. */
function ownMs({ startMs, endMs, tookMs }) {
  const within = collections.filter(({ startTime }) => startTime >= startMs && startTime < endMs);
  return tookMs - within.reduce((sum, { duration }) => sum + duration, 0);
}

process.on("SIGUSR2", () => {
  // What the observer has not reported yet comes before the timer.
  setTimeout(() => {
    const longestMs = Math.max(0, ...turns.map(ownMs));
    const longestCollectionMs = Math.max(0, ...collections.map(({ duration }) => duration));
    writeFileSync(`${file}.new`, JSON.stringify({ longestMs, longestCollectionMs }));
    renameSync(`${file}.new`, file);
    turns = [];
    collections = [];
  }, 50);
});
