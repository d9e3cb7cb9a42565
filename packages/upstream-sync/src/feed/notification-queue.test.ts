import { expect, test } from "vitest";
import { NotificationQueue } from "./notification-queue.js";

const LIMITS = { maxNotifications: 4, maxBytes: 10_000 };
const notification = (kind: "ep" | "res", bytes: number, member = 0) => ({
  kind,
  member,
  response: { payload: new Uint8Array(bytes) },
});

/** How many equal notifications are taken at most. */
function roomFor(queue: NotificationQueue<ReturnType<typeof notification>>, one: ReturnType<typeof notification>) {
  let taken = 0;
  while (taken < 10_000 && queue.add(one)) taken++;
  return taken;
}

test.each([
  { name: "without a payload", bytes: 0, most: 20 },
  { name: "of one datagram", bytes: 1000, most: 7 },
  { name: "larger than all bytes", bytes: 50_000, most: 4 },
])("notifications $name are bounded", ({ bytes, most }) => {
  expect(roomFor(new NotificationQueue(LIMITS), notification("ep", bytes))).toBe(most);
});

test("a feed that is full takes no room of the others, and has room again for what was taken out", () => {
  const queue = new NotificationQueue<ReturnType<typeof notification>>(LIMITS);
  const full = roomFor(queue, notification("ep", 1000));
  expect(roomFor(queue, notification("res", 1000))).toBe(full);
  expect(roomFor(queue, notification("ep", 1000, 1))).toBe(full);
  expect(queue.length).toBe(3 * full);
  expect(queue.take()).toMatchObject({ kind: "ep", member: 0 });
  expect(roomFor(queue, notification("ep", 1000))).toBe(1);
});

test("the order is that of arrival, after what was put in front", () => {
  const queue = new NotificationQueue<ReturnType<typeof notification>>(LIMITS);
  const [first, second, early] = [notification("ep", 1), notification("res", 2), notification("ep", 3)];
  queue.add(first);
  queue.add(second);
  queue.addFirst(early);
  expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([early, first, second, undefined]);
  queue.add(first);
  queue.clear();
  expect([queue.length, queue.take()]).toEqual([0, undefined]);
});
