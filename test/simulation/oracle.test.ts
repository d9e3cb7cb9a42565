import { CODE, METHOD, type ServerRequest } from "@tributary/coap-transport";
import { expect, test } from "vitest";
import { Ledger } from "./ledger.ts";
import { Oracle } from "./oracle.ts";
import type { NodePlan } from "./scenario.ts";

const RDS: NodePlan[] = [1, 2].map((index) => ({
  name: `rd-${index}`,
  address: `2001:db8:1::${index}`,
  isRd: true,
  upstreams: null,
  mode: "replicate",
  clientPort: 0,
  hasDisk: false,
}));
const LP: NodePlan = {
  name: "lp",
  address: "2001:db8:2::1",
  isRd: false,
  upstreams: ["rd-1", "rd-2"],
  mode: "replicate",
  clientPort: 0,
  hasDisk: false,
};
const AT_RD_1 = `<coap://[2001:db8:1::1]/reg/a>;ep="node";base="coap://[2001:db8:3::1]";rt="core.rd-ep"`;
const AT_RD_2 = `<coap://[2001:db8:1::2]/reg/b>;ep="node";base="coap://[2001:db8:3::1]";rt="core.rd-ep"`;
const ENDPOINTS = { kind: "ep", criteria: [] } as const;
const RESOURCES = { kind: "res", criteria: [] } as const;

/** Node registers at RD 1 at 0 s and at RD 2 at 10 s, for 60 s each. */
function roamed() {
  let nowMs = 0;
  const violations: string[] = [];
  const ledger = new Ledger({ nowMs: () => nowMs, violation: (text) => violations.push(text), note: () => {} });
  const register = (rd: string, href: string, links: string) => {
    const request = {
      method: METHOD.POST,
      path: ["rd"],
      query: ["ep=node", "lt=60"],
      payload: new TextEncoder().encode(links),
      scheme: "coap",
      peer: { address: "2001:db8:3::1", port: 5683 },
    } as unknown as ServerRequest;
    const answer = () => ({ code: CODE.CREATED, locationPath: ["reg", href] });
    return ledger.watch(rd, answer, () => true)(request);
  };
  register("rd-1", "a", "</old>");
  nowMs = 10_000;
  register("rd-2", "b", "</new>");
  return { oracle: new Oracle(ledger, { nodes: [...RDS, LP], scheme: "coap", clockErrorMs: 1_500 }), violations };
}

test.each([
  { name: "the renewal that is later", question: ENDPOINTS, answer: AT_RD_2, atMs: 20_000, isRight: true },
  { name: "the earlier renewal", question: ENDPOINTS, answer: AT_RD_1, atMs: 20_000, isRight: false },
  { name: "both", question: ENDPOINTS, answer: `${AT_RD_1},${AT_RD_2}`, atMs: 20_000, isRight: false },
  { name: "nothing", question: ENDPOINTS, answer: "", atMs: 20_000, isRight: false },
  { name: "nothing after all has ended", question: ENDPOINTS, answer: "", atMs: 73_000, isRight: true },
  { name: "what has ended", question: ENDPOINTS, answer: AT_RD_2, atMs: 73_000, isRight: false },
  {
    name: "the winner's links",
    question: RESOURCES,
    answer: "<coap://[2001:db8:3::1]/new>",
    atMs: 20_000,
    isRight: true,
  },
  {
    name: "the loser's links",
    question: RESOURCES,
    answer: "<coap://[2001:db8:3::1]/old>",
    atMs: 20_000,
    isRight: false,
  },
  {
    name: "what nobody registered",
    question: RESOURCES,
    answer: "<coap://[2001:db8:3::9]/x>",
    atMs: 73_000,
    isRight: false,
  },
] as const)("the oracle judges an answer that shows $name", ({ question, answer, atMs, isRight }) => {
  const { oracle, violations } = roamed();
  expect(oracle.check(LP, question, answer, atMs).length === 0).toBe(isRight);
  expect(violations).toEqual([]);
});

test.each([
  { name: "in time", atMs: 70_900, isRight: true },
  { name: "a second late", atMs: 71_000, isRight: true },
  { name: "more than the slack late", atMs: 71_001, isRight: false },
])("during faults, a registration may be shown until its end and the slack: $name", ({ atMs, isRight }) => {
  expect(roamed().oracle.checkLifetimes(LP, AT_RD_2, atMs, 1000).length === 0).toBe(isRight);
});
