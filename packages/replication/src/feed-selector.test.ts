import { parseLookupQuery } from "@tributary/link-model";
import { expect, test } from "vitest";
import { feedSelector, isFeedSelector } from "./feed-selector.js";

const KINDS = ["ep", "res"] as const;
const SCOPES = ["own", "all"] as const;
const ALL = KINDS.flatMap((kind) => SCOPES.map((scope) => ({ kind, scope })));

function criterionOf(item: string) {
  const parsed = parseLookupQuery([item]);
  if (!parsed.ok) throw new Error(item);
  return parsed.query.criteria[0] as (typeof parsed.query.criteria)[0];
}

test("the items are those of draft 6.2 and of tiers", () => {
  expect(ALL.map(({ kind, scope }) => feedSelector(kind, scope))).toEqual([
    "href=/*",
    "href=*",
    "provenance=/*",
    "provenance=*",
  ]);
});

test.each(ALL)("$kind, $scope: the item selects this feed, and no other", ({ kind, scope }) => {
  const criterion = criterionOf(feedSelector(kind, scope));
  const selected = ALL.filter((other) => isFeedSelector(criterion, other.kind, other.scope));
  expect(selected).toEqual([{ kind, scope }]);
});

test.each(["href=/", "href=/reg*", "ep=*", "provenance=/1"])("%s is an ordinary criterion", (item) => {
  for (const { kind, scope } of ALL) expect(isFeedSelector(criterionOf(item), kind, scope)).toBe(false);
});
