import type { PlantedBug } from "../planted-bugs.ts";

/** Mistakes in how a directory is shared, each of which the simulation with `--shared` has to notice. */
export const SHARED_BUGS: readonly PlantedBug[] = [
  {
    name: "what is stored is acknowledged before it is shown",
    file: "nats-store/src/nats-store.ts",
    find: 'if (outcome.kind === "stored") return this.#applied(outcome.sequence, deadlineMs);',
    replace: 'if (outcome.kind === "stored") return { kind: "stored", position: outcome.sequence };',
  },
  {
    name: "an instance says that a path is unknown before it knows what the others know",
    file: "nats-store/src/nats-store.ts",
    find: "catchUp: () => this.#catchUp(),",
    replace: "catchUp: async () => true,",
  },
  {
    name: "a stream that was emptied is believed",
    file: "nats-store/src/stream-watch.ts",
    find: "if (firstSequence > 1)",
    replace: "if (firstSequence > lastSequence + 1)",
  },
  {
    name: "of two sides of a split the registration renewed first counts",
    file: "nats-store/src/write-conflict.ts",
    find: '<= 0 ? "here" : "there"',
    replace: '> 0 ? "here" : "there"',
  },
  {
    name: "what was taken during a split is as good as new afterwards",
    file: "nats-store/src/split-store.ts",
    find: "Math.round(env.clock.wallMs() - registration.renewedAtWallMs)",
    replace: "0",
  },
  {
    name: "a pending write has a position in the feed",
    file: "resource-directory/src/registrar/applied-changes.ts",
    find: "change.isPending === true ? null : change.position",
    replace: "change.position",
  },
  {
    name: "a group without a response counts as stored",
    file: "nats-store/src/grouped-submissions.ts",
    find: 'if (outcome.kind === "unknown") resolve(outcome);',
    replace: 'if (outcome.kind !== "stored") resolve({ kind: "stored", sequence: 0 });',
  },
];
