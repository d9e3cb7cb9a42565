export type { RawMessage, RawPeer } from "./raw-peer.js";
export { createRawPeer, fromHex } from "./raw-peer.js";
export { seededRandom } from "./seeded-random.js";
export type { VirtualClock } from "./virtual-clock.js";
export { createVirtualClock } from "./virtual-clock.js";
export type { LinkConditions, NetworkAddress, NetworkEvent, VirtualNetwork } from "./virtual-network.js";
export { createVirtualNetwork } from "./virtual-network.js";
export type { VirtualWorld } from "./virtual-world.js";
export { createVirtualWorld } from "./virtual-world.js";
