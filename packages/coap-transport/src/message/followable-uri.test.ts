import { expect, test } from "vitest";
import { leadsAstray } from "./followable-uri.js";

test.each([
  { name: "another host", from: "coap://192.0.2.1", to: "coap://192.0.2.2/x" },
  { name: "a name", from: "coap://192.0.2.1", to: "coap://rd.example" },
  { name: "loopback from loopback", from: "coap://localhost", to: "coap://127.0.0.1:5700" },
  { name: "the same link", from: "coap://[fe80::1%25eth0]", to: "coap://[fe80::2%25eth0]" },
  { name: "UDP to TCP", from: "coap://rd.example", to: "coap+tcp://rd.example" },
  { name: "from no TLS to TLS", from: "coap://rd.example", to: "coaps+tcp://rd.example" },
  { name: "TLS to TLS elsewhere", from: "coaps+tcp://rd.example", to: "coaps+tcp://other.example" },
  { name: "TLS to DTLS", from: "coaps+tcp://rd.example", to: "coaps://rd.example" },
])("may be followed: $name", ({ from, to }) => {
  expect(leadsAstray(from, to)).toBeNull();
});

test.each([
  {
    name: "TLS to TCP at the same host",
    from: "coaps+tcp://rd.example",
    to: "coap+tcp://rd.example",
    why: /is not secured/,
  },
  { name: "TLS to UDP, in capitals", from: "COAPS+TCP://rd.example", to: "COAP://rd.example", why: /is not secured/ },
  { name: "loopback", from: "coap://192.0.2.1", to: "coap://[::1]", why: /loopback/ },
  { name: "loopback by name", from: "coap://192.0.2.1", to: "coap://a.localhost.", why: /loopback/ },
  { name: "loopback as a number", from: "coap://192.0.2.1", to: "coap://2130706433", why: /loopback/ },
  { name: "loopback as a number, over TLS", from: "coaps+tcp://192.0.2.1", to: "coaps+tcp://0x7f.1", why: /loopback/ },
  { name: "link-local", from: "coap://192.0.2.1", to: "coap://[fe80::1%25eth0]", why: /link-local/ },
  { name: "another link", from: "coap://[fe80::1%25eth0]", to: "coap://[fe80::1%25eth1]", why: /link-local/ },
  { name: "a group", from: "coap://192.0.2.1", to: "coap://[ff02::1]", why: /multicast/ },
  { name: "no address", from: "coap://192.0.2.1", to: "coap://[::]", why: /at no address/ },
  { name: "not CoAP", from: "coap://192.0.2.1", to: "http://192.0.2.1", why: /scheme http is not one of/ },
])("must not be followed: $name", ({ from, to, why }) => {
  expect(leadsAstray(from, to)).toMatch(why);
});
