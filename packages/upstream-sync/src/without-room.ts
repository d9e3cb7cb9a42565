import type { DirectoryLimits, MergeError } from "@tributary/merge-engine";
import type { Clock, Timer } from "@tributary/runtime";
import {
  ENOUGH_ROOM_SHARE,
  FIRST_ROOM_CHECK_MS,
  LONGEST_ROOM_CHECK_MS,
  MAX_NAME_LENGTH,
  MAX_NAMES_WITHOUT_ROOM,
} from "./constants.js";
import { type LeftOut, LossCount } from "./left-out.js";

export interface WithoutRoomDeps {
  readonly limits: DirectoryLimits;
  readonly leftOut: LeftOut;
  readonly clock: Clock;
  /** There is room for some of it: read it again. */
  readonly onRoom: () => void;
}

/** Why there is no room for a registration. */
export type NoRoomCause = "memory" | "directory-full";

/** The limit that a write of the directory ran into; undefined: it failed for another reason. */
export function noRoomCause(error: MergeError): NoRoomCause | undefined {
  if (error.code === "MEMORY_FULL") return "memory";
  return error.code === "DIRECTORY_FULL" ? "directory-full" : undefined;
}

interface Missing {
  readonly weight: number;
  readonly cause: NoRoomCause;
}

/** Parts of what is left out: what has no room, and what had none before the copy that is under way. */
const NOW = "room";
const BEFORE = "room-before";

/**
 * Registrations that an upstream holds and for which there is no room here. Their names are kept, up to a bound, so that what the
 * upstream says about them is understood; when there is room for a good part of them, the upstream is read again, with pauses
 * that grow as long as that does not help.
 */
export class WithoutRoom {
  readonly #deps: WithoutRoomDeps;
  readonly #account: string;
  readonly #missing = new Map<string, Missing>();
  readonly #counts: Record<NoRoomCause, number> = { memory: 0, "directory-full": 0 };
  /** What those that are known by name need, bytes. */
  #weight = 0;
  #timer: Timer | null = null;
  #pauseMs = FIRST_ROOM_CHECK_MS;
  #restingUntilMs = Number.NEGATIVE_INFINITY;

  constructor(deps: WithoutRoomDeps, account: string) {
    this.#deps = deps;
    this.#account = account;
  }

  get size(): number {
    return this.#counts.memory + this.#counts["directory-full"];
  }

  /** More are missing than are known by name. */
  get hasUnnamed(): boolean {
    return this.size > this.#missing.size;
  }

  has(href: string): boolean {
    return this.#missing.has(href);
  }

  /** `weight`: what it needs, bytes. The name is empty where it is not known. */
  add(href: string, weight: number, cause: NoRoomCause): void {
    this.delete(href);
    if (href !== "" && href.length <= MAX_NAME_LENGTH && this.#missing.size < MAX_NAMES_WITHOUT_ROOM) {
      this.#missing.set(href, { weight, cause });
      this.#weight += weight;
    }
    this.#counts[cause]++;
    this.#tell();
    this.#arm();
  }

  /** It has found room, or is gone. True when it was known. */
  delete(href: string): boolean {
    const known = this.#missing.get(href);
    if (known === undefined) return false;
    this.#missing.delete(href);
    this.#weight -= known.weight;
    this.#counts[known.cause]--;
    this.#tell();
    return true;
  }

  /** The upstream holds it no more. True when it was missing: by its name, or as one of those without. */
  forget(href: string): boolean {
    if (this.delete(href)) return true;
    if (!this.hasUnnamed) return false;
    this.#counts[this.#counts.memory > 0 ? "memory" : "directory-full"]--;
    this.#tell();
    return true;
  }

  /** Everything is received again: those without a name will be counted again. */
  forgetUnnamed(): void {
    if (!this.hasUnnamed) return;
    this.#counts.memory = 0;
    this.#counts["directory-full"] = 0;
    for (const { cause } of this.#missing.values()) this.#counts[cause]++;
    this.#tell();
  }

  /** The upstream is copied from the start: what is missing will be received again. Until then it counts as before. */
  startAgain(): void {
    if (this.size === 0) return;
    this.#deps.leftOut.replace(BEFORE, this.#losses());
    this.#missing.clear();
    this.#weight = 0;
    this.#counts.memory = 0;
    this.#counts["directory-full"] = 0;
    this.#tell();
  }

  /** A copy from the start is complete. */
  finish(): void {
    this.#deps.leftOut.clear(BEFORE);
    if (this.size === 0) this.#pauseMs = FIRST_ROOM_CHECK_MS;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#deps.leftOut.clear(NOW);
    this.#deps.leftOut.clear(BEFORE);
  }

  #losses() {
    const losses = new LossCount();
    const counts = this.#counts;
    losses.add("memory", "registrations are left out: there is no memory for them (limits.memory)", counts.memory);
    losses.add(
      "directory-full",
      "registrations are left out: the directory has no room for them (limits.registrations)",
      counts["directory-full"],
    );
    return losses.losses;
  }

  #tell(): void {
    this.#deps.leftOut.replace(NOW, this.#losses());
  }

  #arm(): void {
    if (this.#timer !== null || this.size === 0) return;
    this.#timer = this.#deps.clock.setTimer(FIRST_ROOM_CHECK_MS, () => {
      this.#timer = null;
      if (this.#hasRoom() && this.#deps.clock.nowMs() >= this.#restingUntilMs) this.#readAgain();
      this.#arm();
    });
  }

  #readAgain(): void {
    this.#restingUntilMs = this.#deps.clock.nowMs() + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_ROOM_CHECK_MS);
    this.#deps.onRoom();
  }

  /** Room for the lightest of them, and for all of them or a good part of what the upstream may have. */
  #hasRoom(): boolean {
    const { registrations, memory } = this.#deps.limits;
    const places = registrations.room(this.#account);
    const bytes = memory.room(this.#account);
    const fewPlaces = ENOUGH_ROOM_SHARE * (registrations.used(this.#account) + places);
    const fewBytes = ENOUGH_ROOM_SHARE * (memory.used(this.#account) + bytes);
    let lightest = Number.POSITIVE_INFINITY;
    for (const { weight } of this.#missing.values()) lightest = Math.min(lightest, weight);
    const needed = this.hasUnnamed ? fewBytes : Math.min(this.#weight, fewBytes);
    return places >= Math.max(1, Math.min(this.size, fewPlaces)) && bytes >= Math.max(lightest, needed);
  }
}
