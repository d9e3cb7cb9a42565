import type { CoapClient } from "@tributary/coap-transport";
import type { Directory, RecordLimits } from "@tributary/merge-engine";
import type { Environment, OwnedTurns } from "@tributary/runtime";
import type { Discovered } from "./discovery/discovery.js";
import type { NotFoundMeaning } from "./discovery/not-found-meaning.js";
import type { OwnNames } from "./discovery/own-names.js";
import type { UpstreamError } from "./errors.js";
import type { LeftOut } from "./left-out.js";
import type { Remarks } from "./remarks.js";
import type { CapabilityReport, UpstreamOptions } from "./types.js";

/** What a follower reports to the state machine. */
export interface FollowerEvents {
  /** Something arrived: the copy is under way. */
  receiving(): void;
  /** The copy equals the RD. */
  complete(): void;
  /** The RD cannot be followed any more. */
  failed(error: UpstreamError): void;
  feedUnavailable(reason: string, isRefusal: boolean): void;
  /** Bytes that arrived for replication. */
  bytes(count: number): void;
  /** Something changed at the RD. */
  changed(): void;
  contact(): void;
}

export interface FollowerDeps {
  readonly client: CoapClient;
  readonly directory: Directory;
  readonly env: Environment;
  /** Divides work on long documents. */
  readonly turns: OwnedTurns;
  readonly options: UpstreamOptions;
  readonly remarks: Remarks;
  readonly leftOut: LeftOut;
  readonly recordLimits: RecordLimits;
  readonly events: FollowerEvents;
  readonly notFound: NotFoundMeaning;
  readonly names: OwnNames;
  /**
   * Resolves when the RD still advertises the lookups that it is followed by, as far as was found out a moment ago.
   * @throws {UpstreamError} when it does not, or does not say.
   */
  readonly confirmDiscovery: () => Promise<void>;
  /** Record what was found out about the RD. */
  readonly report: (capabilities: Partial<CapabilityReport>) => void;
}

/** Keeps the copy of one RD up to date while the connection lasts. */
export interface Follower {
  readonly method: "feed" | "observe" | "poll";
  /** Expected delay between a change at the RD and here, ms. */
  readonly lagMs: number | undefined;
  /** A copy that takes long is under way, and what is there of it is shown already. */
  readonly showsPart?: boolean;
  start(found: Discovered): void;
  /** Nothing happens any more when this resolves. `isReachable`: take leave of the RD instead of falling silent. */
  stop(isReachable: boolean): Promise<void>;
}
