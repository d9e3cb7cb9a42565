import { expect, test } from "vitest";
import { ConnectionPlaces } from "./connection-places.js";

interface Connection {
  readonly name: string;
  readonly hasSpoken: boolean;
  readonly isInUse: boolean;
  readonly usedAtMs: number;
}

const connection = (name: string, more: Partial<Connection> = {}): Connection => ({
  name,
  hasSpoken: true,
  isInUse: false,
  usedAtMs: 0,
  ...more,
});

/** Holders `rich` with three places and `poor` with one, of four in all. */
function full(rich: readonly Connection[]) {
  const places = new ConnectionPlaces<Connection>({ maxConnections: 4, maxPerHolder: 3 });
  for (const each of rich) places.add("rich", each);
  places.add("poor", connection("p", { hasSpoken: false }));
  return places;
}

function replaced(places: ConnectionPlaces<Connection>, holder = "newcomer"): string {
  const admission = places.admit(holder);
  return admission.kind === "replace" ? admission.connection.name : admission.kind;
}

test.each([
  {
    name: "one that never spoke",
    rich: [connection("a"), connection("b", { hasSpoken: false, usedAtMs: 9 }), connection("c")],
    goes: "b",
  },
  {
    name: "the one that was of no use for longest",
    rich: [connection("a", { usedAtMs: 2 }), connection("b", { usedAtMs: 1 }), connection("c", { usedAtMs: 3 })],
    goes: "b",
  },
  {
    name: "none that is in use, but one of who holds less",
    rich: ["a", "b", "c"].map((name) => connection(name, { isInUse: true })),
    goes: "p",
  },
])("the place that is given to a newcomer: $name", ({ rich, goes }) => {
  expect(replaced(full(rich))).toBe(goes);
});

test("who holds more than a share gives up one that is in use; who holds a share does not", () => {
  const used = (name: string) => connection(name, { isInUse: true, usedAtMs: name.charCodeAt(0) });
  const places = new ConnectionPlaces<Connection>({ maxConnections: 4, maxPerHolder: 4 });
  for (const name of ["a", "b", "c"]) places.add("rich", used(name));
  places.add("poor", used("p"));
  expect([replaced(places), replaced(places, "poor")]).toEqual(["a", "a"]);
  const even = new ConnectionPlaces<Connection>({ maxConnections: 3, maxPerHolder: 4 });
  for (const name of ["a", "b", "c"]) even.add(name, used(name));
  expect(replaced(even)).toBe("refused");
});

test("who holds as much as the others gets no place of theirs", () => {
  const places = full([connection("a"), connection("b"), connection("c")]);
  expect(replaced(places, "poor")).toBe("a");
  const even = new ConnectionPlaces<Connection>({ maxConnections: 2, maxPerHolder: 3 });
  even.add("one", connection("a"));
  even.add("two", connection("b"));
  expect(replaced(even, "one")).toBe("refused");
});

test("a holder that is gone holds nothing", () => {
  const places = new ConnectionPlaces<Connection>({ maxConnections: 1, maxPerHolder: 1 });
  const only = connection("a", { isInUse: true });
  places.add("one", only);
  expect([replaced(places), places.size]).toEqual(["refused", 1]);
  places.remove("one", only);
  places.remove("one", only);
  expect([replaced(places), places.size]).toEqual(["free", 0]);
});
