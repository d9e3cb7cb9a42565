import { expect, test } from "vitest";
import { createAddressPolicy } from "./address-policy.js";

test.each([
  { uri: "coap://[2001:db8::1]", allowed: [], want: true },
  { uri: "coap://203.0.113.9:5683", allowed: [], want: true },
  { uri: "coap://127.0.0.1", allowed: [], want: false },
  { uri: "coap://[::1]", allowed: [], want: false },
  { uri: "coap://0.0.0.0", allowed: [], want: false },
  { uri: "coap://[::]", allowed: ["any"], want: false },
  { uri: "coap://10.1.2.3", allowed: [], want: false },
  { uri: "coap://172.31.0.1", allowed: [], want: false },
  { uri: "coap://192.168.1.1", allowed: [], want: false },
  { uri: "coap://169.254.169.254", allowed: [], want: false },
  { uri: "coap://100.64.0.1", allowed: [], want: false },
  { uri: "coap://224.0.1.187", allowed: ["any"], want: false },
  { uri: "coap://255.255.255.255", allowed: ["any"], want: false },
  { uri: "coap://[ff02::fd]", allowed: ["any"], want: false },
  { uri: "coap://[fe80::1]", allowed: [], want: false },
  { uri: "coap://[fd00::1]", allowed: [], want: false },
  { uri: "coap://[64:ff9b::7f00:1]", allowed: [], want: false },
  { uri: "coap://[2002:7f00:1::1]", allowed: [], want: false },
  { uri: "coap://[::ffff:10.0.0.1]", allowed: [], want: false },
  { uri: "coap://localhost", allowed: ["any"], want: false },
  { uri: "coap://127.0.0.1", allowed: ["loopback"], want: true },
  { uri: "coap://10.1.2.3", allowed: ["loopback"], want: false },
  { uri: "coap://10.1.2.3", allowed: ["private"], want: true },
  { uri: "coap://10.1.2.3", allowed: ["10.1.0.0/16"], want: true },
])("$uri may be asked where $allowed is allowed: $want", ({ uri, allowed, want }) => {
  expect(createAddressPolicy(allowed)(uri)).toBe(want);
});
