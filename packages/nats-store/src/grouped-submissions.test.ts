import { createVirtualClock } from "@tributary/runtime/testing";
import { describe, expect, test } from "vitest";
import { GroupedSubmissions } from "./grouped-submissions.js";
import type { GroupOutcome, Submission, SubmissionOutcome } from "./shared-stream.js";

const ROUND_TRIP_MS = 5;

function submission(name: string, bytes = 10): Submission {
  const payload = new Uint8Array(bytes);
  return { subject: `rd.reg.${name}`, kind: "put", payload, ttlS: 60, expected: 0, messageId: name };
}

/** Servers that take everything but subjects that begin with "taken", and answer nothing while `isSilent`. */
function servers({ largest = 1_000_000 } = {}) {
  const clock = createVirtualClock();
  const sent: string[][] = [];
  const servers = { isSilent: false };
  let sequence = 100;
  const nameOf = ({ subject }: Submission): string => subject.slice("rd.reg.".length);
  const later = async <T>(work: () => T, silent: T): Promise<T> => {
    const isSilent = servers.isSilent;
    await new Promise<void>((resolve) => void clock.setTimer(isSilent ? 2000 : ROUND_TRIP_MS, resolve));
    return isSilent ? silent : work();
  };
  const isTaken = (one: Submission): boolean => nameOf(one).startsWith("taken");
  const groups = new GroupedSubmissions({
    clock,
    stream: {
      largestPayload: () => largest,
      submit(one) {
        sent.push([nameOf(one)]);
        return later<SubmissionOutcome>(
          () => {
            if (one.payload.length > largest) return { kind: "too-large" };
            return isTaken(one) ? { kind: "conflict" } : { kind: "stored", sequence: ++sequence };
          },
          { kind: "unknown", message: "timeout" },
        );
      },
      submitTogether(all) {
        sent.push(all.map(nameOf));
        return later<GroupOutcome>(
          () => {
            if (all.some(isTaken)) return { kind: "refused" };
            sequence += all.length;
            return { kind: "stored", lastSequence: sequence };
          },
          { kind: "unknown", message: "timeout" },
        );
      },
    },
  });
  const outcomes = new Map<string, SubmissionOutcome>();
  const submit = (...names: string[]): void => {
    for (const name of names) void groups.submit(submission(name)).then((outcome) => outcomes.set(name, outcome));
  };
  return { clock, groups, sent, servers, outcomes, submit };
}

describe("submissions to a shared stream", () => {
  test("one that comes alone leaves at once, by itself", async () => {
    const { clock, sent, outcomes, submit } = servers();
    submit("a");
    expect(sent).toEqual([["a"]]);
    await clock.advance(ROUND_TRIP_MS);
    submit("b");
    expect(sent).toEqual([["a"], ["b"]]);
    expect(outcomes.get("a")).toEqual({ kind: "stored", sequence: 101 });
  });

  test("those that come meanwhile leave together after it, and get sequences in their order", async () => {
    const { clock, sent, outcomes, submit } = servers();
    submit("a", "b", "c", "d");
    await clock.advance(2 * ROUND_TRIP_MS);
    expect(sent).toEqual([["a"], ["b", "c", "d"]]);
    expect([...outcomes]).toEqual(
      ["a", "b", "c", "d"].map((name, at) => [name, { kind: "stored", sequence: 101 + at }]),
    );
  });

  test("a conflict concerns nobody else", async () => {
    const { clock, outcomes, submit } = servers();
    const names = Array.from({ length: 40 }, (_, at) => (at === 17 || at === 30 ? `taken-${at}` : `free-${at}`));
    submit("first", ...names);
    await clock.advance(200);
    for (const name of names) expect(outcomes.get(name)?.kind).toBe(name.startsWith("taken") ? "conflict" : "stored");
    const sequences = [...outcomes.values()].flatMap((one) => (one.kind === "stored" ? [one.sequence] : []));
    expect(new Set(sequences).size).toBe(39);
  });

  test("two changes of one registration are never in one group", async () => {
    const { clock, sent, submit } = servers();
    submit("a", "b", "c", "b", "d");
    await clock.advance(3 * ROUND_TRIP_MS);
    expect(sent).toEqual([["a"], ["b", "c"], ["b", "d"]]);
  });

  test("what is too large for the servers goes by itself", async () => {
    const { clock, groups, sent, submit } = servers({ largest: 100 });
    submit("a", "b");
    const large = groups.submit(submission("large", 101));
    submit("c");
    await clock.advance(4 * ROUND_TRIP_MS);
    expect(sent).toEqual([["a"], ["b"], ["large"], ["c"]]);
    expect(await large).toEqual({ kind: "too-large" });
  });

  test("a group has bounds", async () => {
    const { clock, groups, sent, submit } = servers();
    submit("a", ...Array.from({ length: 200 }, (_, at) => `n${at}`));
    for (const name of ["x", "y", "z"]) void groups.submit(submission(name, 100_000));
    await clock.advance(4 * ROUND_TRIP_MS);
    expect(sent.map((group) => group.length)).toEqual([1, 128, 74, 1]);
  });

  test("one without a response holds up the others for 20 ms, and their outcome is their own", async () => {
    const { clock, sent, servers: model, outcomes, submit } = servers();
    model.isSilent = true;
    submit("a", "b", "c");
    await clock.advance(19);
    model.isSilent = false;
    expect(sent).toEqual([["a"]]);
    await clock.advance(1);
    expect(sent).toEqual([["a"], ["b", "c"]]);
    await clock.advance(ROUND_TRIP_MS);
    submit("d");
    // The one that is silent does not count any more.
    expect(sent).toHaveLength(3);
    await clock.advance(2000);
    expect([...outcomes.values()].map(({ kind }) => kind)).toEqual(["stored", "stored", "stored", "unknown"]);
  });

  test("while nothing is answered, no more than eight groups are under way; closing ends what waits", async () => {
    const { clock, groups, sent, servers: model, outcomes, submit } = servers();
    model.isSilent = true;
    for (let at = 0; at < 30; at++) {
      submit(`n${at}`);
      await clock.advance(20);
    }
    expect([sent.length, groups.waiting]).toEqual([8, 22]);
    groups.close();
    await clock.advance(0);
    expect([outcomes.size, groups.waiting]).toEqual([22, 0]);
    expect(outcomes.get("n29")).toMatchObject({ kind: "unknown" });
  });
});
