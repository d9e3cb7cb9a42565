import { type Environment, silentLogger, systemClock } from "@tributary/runtime";

/** The environment of members that are tested. */
export const ENV: Environment = { clock: systemClock(), random: Math.random, logger: silentLogger };
