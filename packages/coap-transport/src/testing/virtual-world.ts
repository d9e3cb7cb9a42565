import type { Environment, Logger, Random } from "@tributary/runtime";
import { silentLogger } from "@tributary/runtime";
import { createVirtualClock, seededRandom, type VirtualClock } from "@tributary/runtime/testing";
import { createVirtualNetwork, type VirtualNetwork } from "./virtual-network.js";

/** Time, chance and a network, all reproducible. */
export interface VirtualWorld {
  readonly clock: VirtualClock;
  readonly network: VirtualNetwork;
  readonly random: Random;
  /** For everything that runs in this world. */
  readonly env: Environment;
}

/** A world for one test or one run of a simulation. */
export function createVirtualWorld(options: { seed?: number; logger?: Logger } = {}): VirtualWorld {
  const clock = createVirtualClock();
  const random = seededRandom(options.seed ?? 1);
  // The network draws from a sequence of its own, so that its mishaps do not depend on how much the others draw.
  const network = createVirtualNetwork({ clock, random: seededRandom((options.seed ?? 1) ^ 0x5eed) });
  return { clock, network, random, env: { clock, random, logger: options.logger ?? silentLogger } };
}
