import { parseCoapUri } from "@tributary/coap-transport";
import { pathReference } from "@tributary/lookup-interface";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RoutingTable } from "./routing-table.js";

const peer = (name: string, takesRegistrations: boolean, answersLookups: boolean) => ({
  name,
  uri: `coap://${name}.example`,
  takesRegistrations,
  answersLookups,
});
const BOTH = peer("host-b", true, true);
const RD = peer("rd-c", true, false);
const LP = peer("lp-z", false, true);

function table(self: { rd?: boolean; lp?: boolean }, peers = [RD, BOTH, LP]) {
  return new RoutingTable(
    { name: "host-a", takesRegistrations: self.rd === true, answersLookups: self.lp === true },
    peers,
  );
}

const shown = (route: ReturnType<RoutingTable["lookup"]>) =>
  route.kind === "peers" ? route.peers.map(({ name }) => name) : route.kind;

describe("draft 6.2.2: where a request is answered", () => {
  test.each([
    { name: "RD and LP", self: { rd: true, lp: true }, registration: "local", lookup: "local" },
    { name: "LP alone", self: { lp: true }, registration: ["rd-c", "host-b"], lookup: "local" },
    { name: "RD alone", self: { rd: true }, registration: "local", lookup: ["host-b", "lp-z"] },
  ])("LPX-18 /rd and lookups at a node that is $name", ({ self, registration, lookup }) => {
    expect(shown(table(self).registration())).toEqual(registration);
    expect(shown(table(self).lookup())).toEqual(lookup);
  });

  test("without a peer that could, the node answers itself", () => {
    expect(shown(table({ lp: true }, [LP]).registration())).toBe("local");
    expect(shown(table({ rd: true }, [RD]).lookup())).toBe("local");
  });

  test.each([
    { name: "LPX-19 of this node", path: ["reg", "host-a", "42"], want: "local" },
    { name: "LPX-19 of a peer", path: ["reg", "rd-c", "42"], want: ["rd-c"] },
    { name: "LPX-19 of a peer that takes none (any more)", path: ["reg", "lp-z", "42"], want: ["lp-z"] },
    { name: "deeper below a peer", path: ["reg", "rd-c", "42", "x"], want: ["rd-c"] },
    { name: "a trailing slash", path: ["reg", "rd-c", ""], want: ["rd-c"] },
    { name: "LPX-19 of nobody known", path: ["reg", "rd-d", "42"], want: "unknown" },
    { name: "no name at all", path: ["reg"], want: "unknown" },
    { name: "an empty name", path: ["reg", "", "42"], want: "unknown" },
    { name: "a name that differs in case", path: ["reg", "RD-C", "42"], want: "unknown" },
    { name: "a word of the language", path: ["reg", "constructor"], want: "unknown" },
    { name: "up and out", path: ["reg", "rd-c", "..", "..", "rd"], want: "unknown" },
    { name: "a single dot", path: ["reg", "rd-c", "."], want: "unknown" },
    { name: "another resource", path: ["rd-lookup", "rd-c"], want: "unknown" },
  ])("$name", ({ path, want }) => {
    expect(shown(table({ rd: true }).registrationResource(path))).toEqual(want);
  });

  test("what a peer is asked for is the path that was asked for here", () => {
    const segment = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom("", ".", "..", "%2e%2e", "a/b"),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 4 }), (below) => {
        const path = ["reg", "rd-c", ...below];
        if (table({}).registrationResource(path).kind === "unknown") {
          expect(below.some((one) => one === "." || one === "..")).toBe(true);
          return;
        }
        expect(parseCoapUri(`${RD.uri}${pathReference(path)}`).path).toEqual(path);
      }),
    );
  });
});
