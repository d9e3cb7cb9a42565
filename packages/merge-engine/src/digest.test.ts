import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDirectory } from "./directory.js";
import { DIGEST_LIMIT, registrationDigest } from "./records/registration-digest.js";
import type { Directory, Registration } from "./types.js";

const AUTHORITY = { one: "coap://rd-a.example", two: "coap+tcp://[2001:db8::2]" } as const;
type SourceName = keyof typeof AUTHORITY;

function registration(ep: number, variant: number, atMs: number, more: Partial<Registration> = {}): Registration {
  return {
    href: `/reg/${ep}`,
    ep: `node${ep}`,
    base: "coap://[2001:db8::9]",
    attributes: [["et", `type${variant % 2}`]],
    links: [{ target: "coap://[2001:db8::9]/t", attributes: [["rt", `t${variant}`]] }],
    renewedAtMs: atMs,
    expiresAtMs: atMs + 5000,
    expiry: "exact",
    ...more,
  };
}

function open(): Directory {
  const directory = createDirectory();
  for (const [name, authority] of Object.entries(AUTHORITY)) {
    directory.openSource(name, { authority });
    directory.setConnected(name, true, 0);
  }
  return directory;
}

function computed(directory: Directory): string {
  let sum = 0;
  for (const { registration: shown, state } of directory.inspect())
    if (state !== "superseded") sum = (sum + registrationDigest(shown)) % DIGEST_LIMIT;
  return sum.toString(16).padStart(12, "0");
}

const source = fc.constantFrom<SourceName>("one", "two");
const ep = fc.integer({ min: 0, max: 3 });
const step = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), source, ep, variant: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constant("renew" as const), source, ep }),
  fc.record({ kind: fc.constant("remove" as const), source, ep }),
  fc.record({ kind: fc.constant("connect" as const), source, isConnected: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({ kind: fc.constant("close" as const), source }),
);

test("the digest is that of what is shown, after any changes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const directory = open();
      let nowMs = 0;
      for (const one of steps) {
        nowMs++;
        if (one.kind === "put") directory.put(one.source, registration(one.ep, one.variant, nowMs), nowMs);
        else if (one.kind === "renew")
          directory.renew(one.source, `/reg/${one.ep}`, { renewedAtMs: nowMs, expiresAtMs: nowMs + 5000 }, nowMs);
        else if (one.kind === "remove") directory.remove(one.source, `/reg/${one.ep}`, nowMs);
        else if (one.kind === "connect") directory.setConnected(one.source, one.isConnected, nowMs);
        else if (one.kind === "close") {
          directory.closeSource(one.source, nowMs);
          directory.openSource(one.source, { authority: AUTHORITY[one.source] });
        } else {
          nowMs += one.ms;
          directory.expire(nowMs);
        }
        expect(directory.digest).toBe(computed(directory));
      }
    }),
  );
});

describe("two proxies", () => {
  const directoryWith = (name: string, authority: string | null, registrations: readonly Registration[]) => {
    const directory = createDirectory();
    directory.openSource(name, { authority });
    for (const one of registrations) directory.put(name, one, 0);
    return directory.digest;
  };
  const three = [0, 1, 2].map((number) => registration(number, number, 0));

  test("that reach one RD in different ways, and hear of its registrations in another order, have one digest", () => {
    const others = [
      directoryWith("rd", "coap+tcp://192.0.2.1", [...three].reverse()),
      directoryWith("local", null, three),
      directoryWith(
        "tier",
        "coap://lp.example",
        three.map((one) => ({ ...one, href: `coap://[2001:db8::1]${one.href}` })),
      ),
    ];
    expect(new Set([directoryWith("rd-a", "coap://rd-a.example", three), ...others]).size).toBe(1);
  });

  test.each<[string, Partial<Registration>]>([
    ["another path", { href: "/reg/9" }],
    ["another base", { base: "coap://[2001:db8::8]" }],
    ["another sector", { d: "hall" }],
    [
      "one attribute more",
      {
        attributes: [
          ["et", "type0"],
          ["x", null],
        ],
      },
    ],
    ["an attribute with an empty value", { attributes: [["et", ""]] }],
    ["one without value", { attributes: [["et", null]] }],
    [
      "one link more",
      { links: [...registration(0, 0, 0).links, { target: "coap://[2001:db8::9]/u", attributes: [] }] },
    ],
    ["an attribute of a link moved to another", { links: [{ target: "coap://[2001:db8::9]/t", attributes: [] }] }],
    ["no links", { links: [] }],
  ])("of which one shows %s differ", (_, more) => {
    expect(directoryWith("rd", null, [registration(0, 0, 0, more)])).not.toBe(
      directoryWith("rd", null, [registration(0, 0, 0)]),
    );
  });

  test("with nothing to show have the digest of nothing", () => {
    expect(createDirectory().digest).toBe("000000000000");
  });
});
