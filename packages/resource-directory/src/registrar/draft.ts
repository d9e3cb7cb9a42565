import type { Link } from "@tributary/link-model";
import type { MergeError, Registration } from "@tributary/merge-engine";
import type { StoredRegistration } from "../stored-registration.js";

/** A registration on its way into the store, and what is needed to apply its change without reading it again. */
export interface Draft {
  readonly stored: StoredRegistration;
  /** How the directory will show it; null: as it does, only younger. */
  readonly registration: Registration | null;
  /** Links of its text; null: the text is the one that is kept already. */
  readonly links: readonly Link[] | null;
  /** Monotonic ms. */
  readonly renewedAtMs: number;
  readonly freshUntilMs: number;
  readonly registrant: string;
  /** Bytes that it counts for in the directory; undefined: as many as before. */
  readonly shown: number | undefined;
  /** Gives back the memory that was reserved for it. Idempotent. */
  readonly release: () => void;
  /** Set when it was applied and the directory had no room for it. */
  problem?: MergeError;
}
