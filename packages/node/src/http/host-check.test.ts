import { expect, test } from "vitest";
import { createHostCheck } from "./host-check.js";

const isForThisNode = createHostCheck(["LP-Z", "rd.example.com"]);

test.each([
  "127.0.0.1:8683",
  "127.0.0.1",
  "192.0.2.7:80",
  "[::1]:8683",
  "[2001:db8::1]",
  "localhost",
  "LOCALHOST:8683",
  "site.localhost:1",
  "lp-z",
  "RD.example.COM:443",
  "rd.example.com.",
  undefined,
])("%s is this node", (host) => {
  expect(isForThisNode(host)).toBe(true);
});

test.each([
  "evil.example.com",
  "evil.example.com:8683",
  "rd.example.com.evil.example",
  "127.0.0.1.evil.example",
  "localhost.evil.example",
  "notlocalhost",
  "[evil]:1",
  "[127.0.0.1]",
  "user@127.0.0.1",
  "127.0.0.1/",
  "127.0.0.1:port",
  "::1",
  "",
  "__proto__",
])("%s is another host", (host) => {
  expect(isForThisNode(host)).toBe(false);
});
