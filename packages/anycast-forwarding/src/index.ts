export { createRequestForwarding } from "./anycast-forwarding.js";
export { registrationPathOf } from "./routing-table.js";
export type {
  ForwardingDeps,
  ForwardingOptions,
  ForwardingOutcome,
  ForwardingPeer,
  ForwardingSelf,
  PeerStatus,
  RequestForwarding,
} from "./types.js";
