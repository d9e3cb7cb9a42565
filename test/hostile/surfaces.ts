import { datagramSurface } from "./datagram-surface.ts";
import { patchSurface } from "./patch-surface.ts";
import { protectedSurface } from "./protected-surface.ts";
import { streamSurface } from "./stream-surface.ts";
import type { Surface } from "./surface.ts";
import { configurationSurface, linkFormatSurface, querySurface } from "./text-surfaces.ts";
import { upstreamSurface } from "./upstream-surface.ts";

/** Everything that takes input from strangers. */
export const SURFACES: readonly Surface[] = [
  datagramSurface as Surface,
  streamSurface as Surface,
  protectedSurface as Surface,
  linkFormatSurface as Surface,
  querySurface as Surface,
  patchSurface as Surface,
  upstreamSurface as Surface,
  configurationSurface as Surface,
];
