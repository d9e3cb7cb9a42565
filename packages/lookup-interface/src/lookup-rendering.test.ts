import { type Attribute, type Link, toLinkset } from "@tributary/link-model";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BodyTooLarge, createBodyWriter, type WrittenBody } from "./lookup-rendering.js";

const LINKSET = 65_000;
const writer = createBodyWriter({ linksetFormat: LINKSET, seed: 1 });

function inParts(links: readonly Link[], maxBytes = 1_000_000): { written: WrittenBody; pauses: number } {
  const body = writer.start(LINKSET, maxBytes);
  for (const link of links) body.add(link);
  const work = body.finish();
  for (let pauses = 0; ; pauses++) {
    const step = work.next();
    if (step.done === true) return { written: step.value, pauses };
  }
}

const attribute = fc.tuple(
  fc.constantFrom("anchor", "rel", "rt", "title", "title*", "ct", "__proto__"),
  fc.constantFrom("a", "b c", "coap://h/x", "utf-8'en'%e2%82%ac", "__proto__", ""),
);
const link = fc.record({
  target: fc.constantFrom("coap://a/1", "coap://b/1", "/local"),
  attributes: fc.array(attribute as fc.Arbitrary<Attribute>, { maxLength: 4 }),
});

test("a linkset that is written link by link says what it says when it is written at once", () => {
  fc.assert(
    fc.property(fc.array(link, { maxLength: 12 }), (links) => {
      const { written } = inParts(links);
      const text = Buffer.from(written.payload).toString();
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(toLinkset(links, "/"))));
    }),
  );
});

test("a long linkset is put together in steps, whether its links share a context or not", () => {
  for (const shared of [true, false]) {
    const links = Array.from({ length: 5000 }, (_, at) => ({
      target: `coap://${shared ? "h" : `h${at}`}/resources/${at}`,
      attributes: [["rt", "temperature"] as const],
    }));
    const { written, pauses } = inParts(links);
    expect(pauses).toBeGreaterThan(written.payload.length / 40_000);
  }
});

test("a linkset beyond what is allowed is given up while it is written", () => {
  const links = Array.from({ length: 500 }, (_, at) => ({ target: `coap://h/${at}`, attributes: [] }));
  expect(() => inParts(links, 2000)).toThrow(BodyTooLarge);
});
