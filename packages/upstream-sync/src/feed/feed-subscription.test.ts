import { createVirtualClock } from "@tributary/runtime/testing";
import { expect, test } from "vitest";
import { FeedSubscription } from "./feed-subscription.js";

test("what is missing is asked for, however fast other patches go on arriving", async () => {
  const clock = createVirtualClock();
  let asked = 0;
  let notify: (response: { maxAgeS: number }) => void = () => undefined;
  const client = {
    observe: (_request: object, { onNotification }: { onNotification: typeof notify }) => {
      notify = onNotification;
      return { refresh: () => void asked++, cancel: () => undefined, close: () => Promise.resolve() };
    },
  };
  const subscription = new FeedSubscription(
    { env: { clock, random: () => 0 }, client, recordLimits: {} } as never,
    { kind: "ep", member: 0, uri: "coap://h/ep", query: [], heldETag: () => [] },
    { received: () => undefined, failed: () => undefined },
  );
  subscription.open();
  for (let at = 0; at < 1000; at++) {
    // One does not fit, the next one has arrived in the same turn.
    notify({ maxAgeS: 20 });
    subscription.askAgain(0);
    notify({ maxAgeS: 20 });
    await clock.advance(10);
  }
  // A few at once, then a few each two seconds: neither never, nor for each patch.
  expect(asked).toBeGreaterThanOrEqual(5);
  expect(asked).toBeLessThanOrEqual(25);
});
