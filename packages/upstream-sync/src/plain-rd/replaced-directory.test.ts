import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { expect, test } from "vitest";
import { follow } from "../testing/following.js";
import { PLAIN_RD_URI, PlainRd, type Quirks } from "../testing/plain-rd.js";

/** What a moved name looks like to the follower: everything is another, maybe under the same paths. */
test.each([
  { name: "observed", quirks: {} as Quirks, paths: [] },
  { name: "polled", quirks: { observe: "ignored" } as Quirks, paths: [] },
  { name: "observed, under paths of the first", quirks: {} as Quirks, paths: ["/reg/a1/", "/reg/a2/"] },
])("another directory takes the place of the first in one step, $name", async ({ quirks, paths }) => {
  const world = createVirtualWorld();
  const rd = new PlainRd(world, quirks);
  for (const ep of ["a1", "a2", "a3"]) rd.register(ep, { href: `/reg/${ep}/` });
  const lp = follow(world, { uri: PLAIN_RD_URI, pollMs: 2000 });
  await lp.untilLive();
  await world.clock.advance(1000);

  const seen = new Set<string>();
  let isDue = false;
  lp.directory.on("source", () => {
    // Observers are notified once for all that happens in one turn.
    if (!isDue)
      queueMicrotask(() => {
        isDue = false;
        seen.add(
          lp
            .endpoints()
            .map((ep) => `${ep} ${lp.held(ep)?.links.length}`)
            .join(),
        );
      });
    isDue = true;
  });
  rd.entries.clear();
  for (const [at, ep] of ["b1", "b2"].entries()) rd.register(ep, { href: paths[at] ?? `/reg/${ep}/` });
  await lp.until(() => lp.endpoints().join() === "b1,b2", 60_000);
  await world.clock.advance(60_000);
  expect([...seen]).toEqual(["b1 1,b2 1"]);
});
