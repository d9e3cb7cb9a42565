import type { Attribute } from "@tributary/link-model";

/** A registration as the RD keeps it: what the endpoint sent, and its lifetime. Persisted by a RegistrationStore. */
export interface StoredRegistration {
  /** Last part(s) of the registration resource path, e.g. `42` or `rd-c/42`; the key of the store. */
  readonly id: string;
  readonly ep: string;
  readonly d?: string;
  readonly base: string;
  /** False when `base` was taken from the source address: an update from elsewhere then moves it (RFC 9176 section 5.3.1). */
  readonly isBaseExplicit: boolean;
  readonly ltS: number;
  readonly attributes: readonly Attribute[];
  /** Link-format payload as submitted (UTF-8 text). */
  readonly links: string;
  /** Wall clock of the last renewal, ms since the epoch: survives restarts. */
  readonly renewedAtWallMs: number;
  /**
   * Time of the last renewal as published to proxies, ms since the Unix epoch, whole microseconds. Kept to the digit, so that
   * a restart does not change it. Absent: not published.
   */
  readonly stampMs?: number;
  /** IPv6 zone of the endpoint when its base is link-local. */
  readonly zone?: string;
  /** Registered by simple registration (RFC 9176 section 5.1). */
  readonly isSimple: boolean;
  /** Its base is a place of this RD, which relays requests over the connection of the endpoint (draft 6.3). */
  readonly isProxied?: true;
}
