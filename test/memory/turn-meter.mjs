/**
 * Loaded into a node before it starts (`--import`): measures how much CPU time the main thread takes between two moments at which
 * it could have answered a request, and writes the figures to the file that `TURN_METER_FILE` names, twice a second.
 */
import { renameSync, writeFileSync } from "node:fs";

const file = process.env.TURN_METER_FILE;
const PERIOD_MS = 5;
const WRITE_MS = 500;
/** A lookup that comes while a turn has more than this to go waits too long, ms of CPU time. */
const LONG_MS = 100;

/** CPU time of this thread, ms; of the process where there is no such clock. */
function cpuMs() {
  const { user, system } = process.threadCpuUsage?.() ?? process.cpuUsage();
  return (user + system) / 1000;
}

let last = cpuMs();
let startMs = performance.now();
const figures = { longestMs: 0, longMs: 0, busyMs: 0, elapsedMs: 0, turns: [] };

function note() {
  const now = cpuMs();
  const turnMs = now - last;
  last = now;
  figures.busyMs += turnMs;
  figures.longestMs = Math.max(figures.longestMs, turnMs);
  figures.longMs += Math.max(0, turnMs - LONG_MS);
  if (turnMs > LONG_MS) figures.turns.push(Math.round(turnMs));
  if (figures.turns.length > 200) figures.turns.shift();
}

if (file !== undefined) {
  setInterval(note, PERIOD_MS).unref();
  setInterval(() => {
    figures.elapsedMs = performance.now() - startMs;
    writeFileSync(`${file}.new`, JSON.stringify(figures));
    renameSync(`${file}.new`, file);
  }, WRITE_MS).unref();
  // What comes before the first request is no turn.
  setTimeout(() => {
    startMs = performance.now();
    Object.assign(figures, { longestMs: 0, longMs: 0, busyMs: 0, turns: [] });
  }, 1500).unref();
}
