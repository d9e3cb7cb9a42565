import { expect, test } from "vitest";
import { formatRoute, parseRoute } from "./route.ts";

test.each(["", "#", "#/", "#/nothing", "#overview?"])("%j is the overview", (fragment) => {
  expect(parseRoute(fragment).view).toBe("overview");
});

test("what a view shows is in the address, whatever is in it", () => {
  const fragment = formatRoute("search", { kind: "res", q: 'title="a b" href=/x?y&z#ä', page: "" });
  const { view, query } = parseRoute(fragment);
  expect([view, query.get("kind"), query.get("q"), query.has("page")]).toEqual([
    "search",
    "res",
    'title="a b" href=/x?y&z#ä',
    false,
  ]);
  expect(formatRoute("events")).toBe("#/events");
});
