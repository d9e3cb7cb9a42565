import { describe, expect, test } from "vitest";
import { ACK, NON, observing } from "../testing/observing-client.js";

/** An observer that has enough to do from its second notification on, until `finish` is called. */
async function busyObserver() {
  let finish = (): void => {};
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const observer = await observing({}, { isSeries: true }, ({ payload }) =>
    payload[0] === "a".charCodeAt(0) ? undefined : work,
  );
  await observer.accept(1, "a");
  observer.server.inbox.length = 0;
  return { ...observer, finish };
}

describe("RFC 7252 section 5.2.2: a listener that has enough to do", () => {
  test("its notifications are acknowledged when it has time, in the order in which they came", async () => {
    const { notify, server, clock, finish, texts } = await busyObserver();
    await notify(2, { payload: "b", messageId: 102 });
    await notify(3, { payload: "c", messageId: 103 });
    await clock.advance(500);
    expect([texts(), server.inbox]).toEqual([["a", "b", "c"], []]);
    finish();
    await clock.advance(5);
    expect(server.inbox.map(({ type, messageId }) => [type, messageId])).toEqual([
      [ACK, 102],
      [ACK, 103],
    ]);
  });

  test("one that is repeated meanwhile is neither delivered again nor acknowledged earlier, and once only", async () => {
    const { notify, server, clock, finish, texts } = await busyObserver();
    await notify(2, { payload: "b", messageId: 102 });
    await notify(2, { payload: "b", messageId: 102 });
    expect([texts(), server.inbox]).toEqual([["a", "b"], []]);
    finish();
    await clock.advance(2000);
    expect(server.inbox).toHaveLength(1);
    await notify(2, { payload: "b", messageId: 102 });
    expect([texts(), server.inbox.length]).toEqual([["a", "b"], 2]);
  });

  test("after a second the peer knows all the same that it arrived", async () => {
    const { notify, server, clock, finish } = await busyObserver();
    await notify(2, { payload: "b", messageId: 102 });
    await clock.advance(990);
    expect(server.inbox).toHaveLength(0);
    await clock.advance(20);
    expect(server.take()).toMatchObject({ type: ACK, messageId: 102 });
    finish();
    await clock.advance(2000);
    expect(server.inbox).toHaveLength(0);
  });

  test("a notification without confirmation is not acknowledged at all", async () => {
    const { notify, server, clock, finish } = await busyObserver();
    await notify(2, { type: NON, payload: "b" });
    finish();
    await clock.advance(2000);
    expect(server.inbox).toHaveLength(0);
  });
});
