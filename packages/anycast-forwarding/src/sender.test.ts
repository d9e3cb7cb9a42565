import { expect, test } from "vitest";
import { peersExceptSender } from "./sender.js";

const peer = (name: string, uri: string) => ({ name, uri, takesRegistrations: true, answersLookups: true });
const B = peer("b", "coap://[2001:DB8::b]:5683");
const C = peer("c", "coap://[2001:db8::c]");
const ON_C = peer("on-c", "coap://[2001:db8::c]:5684");

test.each([
  { name: "a client", from: "2001:db8::7", hopLimit: undefined, want: [B, C] },
  { name: "another proxy", from: "2001:db8::7", hopLimit: 9, want: [B, C] },
  { name: "LPX-20 a peer that forwards", from: "2001:db8::b", hopLimit: 16, want: [C] },
  { name: "a client on the host of a peer", from: "2001:db8::b", hopLimit: undefined, want: [B, C] },
])("sent by $name", ({ from, hopLimit, want }) => {
  const sender = { key: "", transport: "udp", address: from, port: 40_000 } as const;
  const request = { peer: sender, ...(hopLimit === undefined ? {} : { hopLimit }) };
  expect(peersExceptSender(request, [B, C])).toEqual(want);
});

test("the sender is ambiguous when several peers share an address", () => {
  const sender = { key: "", transport: "udp", address: "2001:db8::c", port: 40_000 } as const;
  expect(peersExceptSender({ peer: sender, hopLimit: 16 }, [B, C, ON_C])).toEqual([B, C, ON_C]);
});
