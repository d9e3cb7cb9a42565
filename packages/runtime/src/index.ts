export { addCount, addCounts } from "./counts.js";
export { drain } from "./drain.js";
export type { Clock, Environment, Logger, Random, Timer } from "./environment.js";
export { ExpiringMap } from "./expiring-map.js";
export type { FolderLock } from "./folder-lock.js";
export { lockFolder } from "./folder-lock.js";
export { silentLogger, systemClock } from "./system-environment.js";
export type { OwnedTurns, TurnTask } from "./turns.js";
export { inTurns, Turns, turnsOf } from "./turns.js";
