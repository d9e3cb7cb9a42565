import type {
  PendingWrite,
  RegistrationStore,
  SharedStore,
  StoreChange,
  StoredRegistration,
  StoreOperation,
  StoreOutcome,
  WriteJournal,
} from "@tributary/resource-directory";
import { addCount, type Environment } from "@tributary/runtime";
import { MAX_PENDING_WRITES, RECONCILE_AT_ONCE, RECONCILE_ATTEMPTS, RECONCILE_PAUSE_MS } from "./constants.js";
import type { SharedRegistrations } from "./nats-store.js";
import { isSame, judge } from "./write-conflict.js";

/** A registration, or the removal of one, that lost against what others had acknowledged during a split. */
export interface DiscardedWrite {
  readonly registration: StoredRegistration;
  readonly what: "registration" | "removal";
  /** `here`: this instance had taken it; `elsewhere`: the store had it, and this instance replaced it. */
  readonly takenBy: "here" | "elsewhere";
}

/** Collaborators of `SplitStore`. */
export interface SplitStoreDeps {
  readonly env: Environment;
  readonly shared: SharedRegistrations;
  readonly journal: WriteJournal;
  /** Called for each write that lost. */
  readonly onDiscarded?: (discarded: DiscardedWrite) => void;
}

/**
 * A shared store that takes writes while it is away (draft 6.1): under the paths that all instances give, kept in a journal, shown here, and
 * submitted when the store is back. Where others have changed the same registration meanwhile, the one that was renewed last counts.
 */
export class SplitStore implements RegistrationStore {
  readonly epoch: number;
  readonly shared: SharedStore;
  /** Pending writes that were settled, by outcome: `stored`, `same`, `discarded-here`, `discarded-elsewhere`. Monotonic. */
  readonly settled = new Map<string, number>();
  readonly #deps: SplitStoreDeps;
  readonly #pending = new Map<string, PendingWrite>();
  readonly #underWay = new Map<string, Promise<void>>();
  #consumer: (change: StoreChange) => void = () => {};
  #isLoaded = false;
  #isClosed = false;
  #isReconciling = false;
  #hasDiscarded = false;

  constructor(deps: SplitStoreDeps) {
    this.#deps = deps;
    this.epoch = deps.shared.epoch;
    this.shared = deps.shared.shared;
    deps.shared.follow((change) => this.#onChange(change));
    this.shared.onHealth(() => void this.#reconcile());
  }

  /** Writes that the store does not have yet. */
  get pending(): number {
    return this.#pending.size;
  }

  follow(consumer: (change: StoreChange) => void): void {
    this.#consumer = consumer;
  }

  async *load(): AsyncGenerator<StoredRegistration> {
    for (const write of this.#deps.journal.load()) this.#pending.set(write.registration.id, write);
    yield* this.#deps.shared.load();
    this.#isLoaded = true;
    for (const write of this.#pending.values()) this.#show(write);
    void this.#reconcile();
  }

  get(): undefined {}

  async submit(operation: StoreOperation, expected: number | null): Promise<StoreOutcome> {
    const { id } = operation.registration;
    if (this.#pending.has(id)) {
      if (operation.kind === "end") return { kind: "away", message: "the shared store does not know of it yet" };
      if (!this.shared.health().isAway) await this.#settle(id);
      // What the store says now is to be decided upon.
      if (!this.#pending.has(id)) return { kind: "conflict" };
      return await this.#take(operation, expected);
    }
    const outcome = await this.#deps.shared.submit(operation, expected);
    const isOpen = outcome.kind === "away" || outcome.kind === "unknown";
    return isOpen && operation.kind !== "end" ? await this.#take(operation, expected) : outcome;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#deps.shared.close();
    await Promise.all(this.#underWay.values());
    await this.#deps.journal.close();
  }

  /** Takes a write without the store. */
  async #take({ kind, registration }: StoreOperation, expected: number | null): Promise<StoreOutcome> {
    const { isDoubtful, reason = "" } = this.shared.health();
    const { id } = registration;
    const before = this.#pending.get(id);
    if (kind === "end" || isDoubtful === true) return { kind: "away", message: `the shared store is away: ${reason}` };
    if (before === undefined && this.#pending.size >= MAX_PENDING_WRITES)
      return { kind: "away", message: "more was written than is kept while the shared store is away" };
    if (kind === "put" && this.#deps.shared.isTooLarge(registration)) return { kind: "too-large" };
    const base = before === undefined ? expected : before.base;
    const write: PendingWrite = { kind, registration, base, atWallMs: this.#deps.env.clock.wallMs() };
    this.#pending.set(id, write);
    try {
      await this.#deps.journal.put(write);
    } catch (error) {
      if (this.#pending.get(id) === write) {
        if (before === undefined) this.#pending.delete(id);
        else this.#pending.set(id, before);
      }
      throw error;
    }
    // A change of others that counts came meanwhile.
    const kept = this.#pending.get(id);
    if (kept === undefined) return { kind: "conflict" };
    this.#show(kept);
    if (!this.shared.health().isAway) void this.#reconcile();
    return { kind: "stored", position: kept.base ?? 0 };
  }

  #show({ kind, registration, base }: PendingWrite): void {
    this.#consumer({ kind, id: registration.id, position: base ?? 0, registration, isUnplaced: true });
  }

  #onChange(change: StoreChange): void {
    const write = this.#pending.get(change.id);
    const counts = write === undefined || this.#decide(write, change);
    // While the store is loaded, what was taken here is shown on top of what it has.
    if (counts || !this.#isLoaded) this.#consumer(change);
  }

  /** Whether a change counts against a pending write, which is over then. Else the write is based upon it from now on. */
  #decide(write: PendingWrite, change: StoreChange): boolean {
    const { id } = change;
    const judgement = judge(write, change, this.#deps.env.clock.wallMs());
    if (judgement === "here") {
      const isKnown = change.position <= (write.base ?? 0);
      if (!isKnown && change.kind === "put" && change.registration !== undefined)
        this.#lost(change.registration, write, "elsewhere");
      if (!isKnown) this.#rebase(write, change.position);
      return false;
    }
    this.#pending.delete(id);
    this.#forget(id);
    if (judgement === "own") addCount(this.settled, "stored");
    else this.#lost(write.registration, change, "here", write.kind);
    return true;
  }

  /**
   * A change counts that was delivered and passed on before the write that lost was shown in its place. Its position is in the past; so that
   * followers of this instance get it once more, it is stored again.
   */
  #applyLate({ registration: own }: PendingWrite, change: StoreChange): void {
    const { id, kind, position: base, registration = own } = change;
    const isOwn = kind === "put" && registration.stampMs === own.stampMs && isSame(registration, own);
    if (isOwn) {
      this.#consumer({ ...change, isUnplaced: true });
      return;
    }
    const again: PendingWrite = {
      kind: kind === "put" ? "put" : "delete",
      registration,
      base,
      atWallMs: registration.renewedAtWallMs,
    };
    this.#pending.set(id, again);
    this.#show(again);
  }

  #rebase(write: PendingWrite, base: number): void {
    const { id } = write.registration;
    const next = { ...write, base };
    this.#pending.set(id, next);
    // Without it on disk, a restart decides once more.
    this.#deps.journal.put(next).catch(this.#journalFailed);
  }

  #forget(id: string): void {
    // What stays in the journal is found in the store at the next start.
    this.#deps.journal.remove(id).catch(this.#journalFailed);
  }

  readonly #journalFailed = (error: unknown): void => {
    this.#deps.env.logger.warn("the journal of the shared store cannot be written", { error });
  };

  /** Counts and reports a write that lost. Who said the same as the winner has lost nothing. */
  #lost(
    loser: StoredRegistration,
    winner: { readonly kind: StoreChange["kind"]; readonly registration?: StoredRegistration },
    takenBy: DiscardedWrite["takenBy"],
    kind: PendingWrite["kind"] = "put",
  ): void {
    const isNothing =
      kind === "put" &&
      winner.kind !== "delete" &&
      winner.registration !== undefined &&
      isSame(loser, winner.registration);
    addCount(this.settled, isNothing ? "same" : `discarded-${takenBy}`);
    if (isNothing) return;
    const { env, onDiscarded } = this.#deps;
    const what = kind === "put" ? "registration" : "removal";
    if (!this.#hasDiscarded)
      env.logger.warn("registrations of both sides of a split contradict each other; the events name those that lost", {
        ...{ ep: loser.ep, d: loser.d, what, takenBy },
      });
    this.#hasDiscarded = true;
    onDiscarded?.({ registration: loser, what, takenBy });
  }

  /** Submits what is pending for as long as the store takes it. Never rejects. */
  async #reconcile(): Promise<void> {
    if (this.#isReconciling) return;
    this.#isReconciling = true;
    this.#hasDiscarded = false;
    while (this.#mayReconcile()) {
      // What others did comes first: fewer submissions fail.
      if (await this.shared.catchUp()) await this.#settleAll();
      if (this.#mayReconcile()) await this.#pause();
    }
    this.#isReconciling = false;
  }

  #mayReconcile(): boolean {
    return this.#isLoaded && !this.#isClosed && this.#pending.size > 0 && !this.shared.health().isAway;
  }

  async #settleAll(): Promise<void> {
    const ids = [...this.#pending.keys()];
    const work = async () => {
      for (let id = ids.pop(); id !== undefined && this.#mayReconcile(); id = ids.pop()) await this.#settle(id);
    };
    await Promise.all(Array.from({ length: RECONCILE_AT_ONCE }, work));
  }

  /** Submits a pending write, once at a time. Never rejects; what is still pending afterwards is submitted later. */
  #settle(id: string): Promise<void> {
    const underWay = this.#underWay.get(id);
    if (underWay !== undefined) return underWay;
    const settling = this.#submitPending(id)
      .catch((error: unknown) => {
        this.#deps.env.logger.debug("a pending write is submitted later", { error, id });
      })
      .finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, settling);
    return settling;
  }

  async #submitPending(id: string): Promise<void> {
    const { env, shared } = this.#deps;
    for (let attempt = 1; attempt <= RECONCILE_ATTEMPTS; attempt++) {
      const write = this.#pending.get(id);
      if (write === undefined) return;
      const { kind, registration, base } = write;
      const ageMs = Math.max(0, Math.round(env.clock.wallMs() - registration.renewedAtWallMs));
      const { kind: outcome } = await shared.submit({ kind, registration, ...(kind === "put" ? { ageMs } : {}) }, base);
      if (outcome !== "stored" && outcome !== "conflict") return;
      if (this.#pending.get(id) !== write) continue;
      // What stands against it did not come out of the stream now: it had been delivered before the write was taken.
      const current = await shared.current(registration);
      if (this.#pending.get(id) !== write) continue;
      if (current === undefined) this.#rebase(write, 0);
      else if (this.#decide(write, current)) this.#applyLate(write, current);
      else this.#rebase(this.#pending.get(id) ?? write, current.position);
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#deps.env.clock.setTimer(RECONCILE_PAUSE_MS, resolve));
  }
}
