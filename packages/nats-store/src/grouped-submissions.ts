import type { Clock, Timer } from "@tributary/runtime";
import { GROUP_PATIENCE_MS, MAX_GROUP_BYTES, MAX_GROUP_SUBMISSIONS, MAX_GROUPS_UNDER_WAY } from "./constants.js";
import type { SharedStream, Submission, SubmissionOutcome } from "./shared-stream.js";

/** Collaborators of `GroupedSubmissions`. */
export interface GroupedSubmissionsDeps {
  readonly clock: Clock;
  readonly stream: Pick<SharedStream, "submit" | "submitTogether" | "largestPayload">;
}

interface Waiting {
  readonly submission: Submission;
  readonly resolve: (outcome: SubmissionOutcome) => void;
}

/**
 * Submits what arrives while a submission is under way together, after it: the servers write and replicate a group at the cost of one
 * message. A submission that comes alone leaves at once, and by itself.
 */
export class GroupedSubmissions {
  readonly #deps: GroupedSubmissionsDeps;
  #waiting: Waiting[] = [];
  #underWay = 0;
  /** The group that left last; null: it has its response. */
  #last: { readonly leftAtMs: number } | null = null;
  #patience: Timer | null = null;

  constructor(deps: GroupedSubmissionsDeps) {
    this.#deps = deps;
  }

  /** Submissions that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Adds a message like `SharedStream.submit`. Never rejects. */
  submit(submission: Submission): Promise<SubmissionOutcome> {
    return new Promise((resolve) => {
      this.#waiting.push({ submission, resolve });
      this.#sendNext();
    });
  }

  close(): void {
    this.#patience?.cancel();
    this.#patience = null;
    for (const { resolve } of this.#waiting.splice(0)) resolve({ kind: "unknown", message: "the store is closed" });
  }

  #sendNext(): void {
    const { clock } = this.#deps;
    while (this.#waiting.length > 0 && this.#underWay < MAX_GROUPS_UNDER_WAY) {
      // One that gets no response must not hold up the others for long.
      const waitMs = this.#last === null ? 0 : this.#last.leftAtMs + GROUP_PATIENCE_MS - clock.nowMs();
      if (waitMs > 0) {
        this.#patience ??= clock.setTimer(waitMs, () => {
          this.#patience = null;
          this.#sendNext();
        });
        return;
      }
      const own = { leftAtMs: clock.nowMs() };
      this.#last = own;
      this.#underWay++;
      void this.#send(this.#takeGroup()).then(() => {
        this.#underWay--;
        if (this.#last === own) this.#last = null;
        this.#sendNext();
      });
    }
  }

  /** The oldest ones, within the bounds, of which no two have the same subject: the expectation of the second would not hold. */
  #takeGroup(): readonly Waiting[] {
    const largest = this.#deps.stream.largestPayload();
    const subjects = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const { submission } of this.#waiting) {
      const { length } = submission.payload;
      bytes += length;
      const isBeyond = count === MAX_GROUP_SUBMISSIONS || bytes > MAX_GROUP_BYTES || length > largest;
      if (count > 0 && (isBeyond || subjects.has(submission.subject))) break;
      subjects.add(submission.subject);
      count++;
      // Whatever is too large for a group, or for the servers, goes by itself.
      if (isBeyond) break;
    }
    return this.#waiting.splice(0, count);
  }

  /** Never rejects. A group that is refused for one of its messages is divided until that one is by itself. */
  async #send(group: readonly Waiting[]): Promise<void> {
    const { stream } = this.#deps;
    const [first] = group;
    if (first === undefined) return;
    if (group.length === 1) {
      first.resolve(await stream.submit(first.submission));
      return;
    }
    const outcome = await stream.submitTogether(group.map(({ submission }) => submission));
    if (outcome.kind === "refused") {
      const middle = Math.ceil(group.length / 2);
      await Promise.all([this.#send(group.slice(0, middle)), this.#send(group.slice(middle))]);
      return;
    }
    for (const [at, { resolve }] of group.entries()) {
      if (outcome.kind === "unknown") resolve(outcome);
      else resolve({ kind: "stored", sequence: outcome.lastSequence - (group.length - 1 - at) });
    }
  }
}
