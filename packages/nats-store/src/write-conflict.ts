import { compareRenewals } from "@tributary/merge-engine";
import type { PendingWrite, StoreChange, StoredRegistration } from "@tributary/resource-directory";

/** What becomes of a write that was taken here, and of a change that others made meanwhile. */
export type Judgement =
  /** The change is that write: the store has it. */
  | "own"
  /** The write counts, and replaces the change. */
  | "here"
  /** The change counts. */
  | "there";

/**
 * Decides between a pending write and a change of the same registration, by the rule for two registrations of one endpoint: the one that was
 * renewed last counts. A removal counts against what was renewed before it. The end of a lifetime counts against nothing that is
 * still valid. Every instance that knows both decides alike. Pure.
 */
export function judge(write: PendingWrite, change: StoreChange, nowWallMs: number): Judgement {
  const { kind, registration: here } = write;
  const { registration: there } = change;
  if (change.kind === "delete" || there === undefined) {
    if (kind === "delete") return "own";
    return (change.atWallMs ?? Number.NEGATIVE_INFINITY) > here.renewedAtWallMs ? "there" : "here";
  }
  if (change.kind === "end") return kind === "put" && endOf(here) <= nowWallMs ? "there" : "here";
  if (kind === "delete") return there.renewedAtWallMs > write.atWallMs ? "there" : "here";
  if (here.stampMs === there.stampMs && isSame(here, there)) return "own";
  return compareRenewals(renewalOf(here), renewalOf(there)) <= 0 ? "here" : "there";
}

/** Whether two registrations say the same, whenever they were renewed. Pure. */
export function isSame(one: StoredRegistration, other: StoredRegistration): boolean {
  return contentOf(one) === contentOf(other);
}

function contentOf({ base, ltS, attributes, links, zone }: StoredRegistration): string {
  return JSON.stringify([base, ltS, attributes, links, zone]);
}

function renewalOf({ id, base, renewedAtWallMs }: StoredRegistration) {
  return { renewedAtMs: renewedAtWallMs, href: id, base, isLost: false };
}

function endOf({ renewedAtWallMs, ltS }: StoredRegistration): number {
  return renewedAtWallMs + ltS * 1000;
}
