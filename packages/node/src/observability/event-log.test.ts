import { createDirectory, type Directory } from "@tributary/merge-engine";
import { beforeEach, expect, test } from "vitest";
import { ManualClock, registration } from "../../../../test/cli/fake-node.js";
import { EventLog } from "./event-log.js";

let clock: ManualClock;
let directory: Directory;

beforeEach(() => {
  clock = new ManualClock();
  directory = createDirectory();
  for (const name of ["rd-a", "rd-b"]) {
    directory.openSource(name, { authority: `coap://${name}` });
    directory.setConnected(name, true, 0);
  }
});

const kinds = (log: EventLog) => [...log.since(0)].map(({ kind, source }) => `${kind} ${source}`);

test("tells the story of an endpoint that moves and comes back", () => {
  const log = new EventLog({ directory, clock });
  directory.put("rd-a", registration({ href: "/reg/1", ep: "lamp", renewedAtMs: 1 }), 1);
  directory.renew("rd-a", "/reg/1", { renewedAtMs: 2, expiresAtMs: 90_000_000 }, 2);
  directory.put("rd-b", registration({ href: "/reg/7", ep: "lamp", renewedAtMs: 3 }), 3);
  directory.setConnected("rd-a", false, 4);
  directory.remove("rd-b", "/reg/7", 5);
  expect(kinds(log)).toEqual([
    "registered rd-a",
    "registered rd-b",
    "superseded rd-b",
    "lost rd-a",
    "removed rd-b",
    "returned rd-a",
  ]);
  expect([...log.since(0)][2]).toMatchObject({
    ep: "lamp",
    href: "coap://rd-b/reg/7",
    before: { source: "rd-a", href: "coap://rd-a/reg/1" },
  });
});

test("the end of a lifetime is no removal, and closing a source is neither", () => {
  const log = new EventLog({ directory, clock });
  directory.put("rd-a", registration({ href: "/reg/1", ep: "lamp", expiresAtMs: 10 }), 1);
  directory.expire(11);
  directory.put("rd-b", registration({ href: "/reg/2", ep: "other" }), 12);
  directory.closeSource("rd-b", 13);
  expect(kinds(log)).toEqual(["registered rd-a", "expired rd-a", "registered rd-b"]);
});

test("keeps the latest events, within both bounds, and numbers them without gaps", () => {
  const log = new EventLog({ directory, clock }, { events: 5, length: 1000 });
  const put = (number: number, name: string) =>
    directory.put("rd-a", registration({ href: `/reg/${number}`, ep: name }), number);
  for (let number = 1; number <= 23; number++) put(number, `node${number}`);
  expect([...log.since(0)].map(({ ep }) => ep)).toEqual([19, 20, 21, 22, 23].map((number) => `node${number}`));
  expect([...log.since(21)].map(({ id }) => id)).toEqual([22, 23]);
  expect([...log.since(23)]).toEqual([]);
  expect([...log.since(99)]).toEqual([]);
  put(24, "x".repeat(985));
  expect([...log.since(0)].length).toBeLessThan(2);
  expect(log.lastId).toBe(24);
});

test("tells listeners until they leave, and follows nothing once it is closed", () => {
  const log = new EventLog({ directory, clock });
  const seen: number[] = [];
  const stop = log.onEvent(({ id }) => seen.push(id));
  directory.put("rd-a", registration({ href: "/reg/1" }), 1);
  stop();
  directory.remove("rd-a", "/reg/1", 2);
  log.close();
  directory.put("rd-a", registration({ href: "/reg/1" }), 3);
  expect([seen, log.lastId]).toEqual([[1], 2]);
});
