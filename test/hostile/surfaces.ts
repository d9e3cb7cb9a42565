import { datagramSurface } from "./datagram-surface.ts";
import type { Surface } from "./surface.ts";

/** Everything that takes input from strangers. */
export const SURFACES: readonly Surface[] = [datagramSurface].map((surface) => surface as Surface);
