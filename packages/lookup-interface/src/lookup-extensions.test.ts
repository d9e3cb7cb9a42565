import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { type Link, resolveReference } from "@tributary/link-model";
import { codeOf, DIRECTORY_ADDRESS, serveDirectory, textOf } from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";

function serve(options = {}) {
  const world = createVirtualWorld();
  return { ...serveDirectory(world, options), world, clock: world.clock };
}

const OWN = `coap://[${DIRECTORY_ADDRESS}]`;

describe("draft 5.1: provenance", () => {
  const provenances = (links: readonly Link[]) =>
    links.map(({ attributes }) => attributes.filter(([name]) => name === "provenance").map(([, value]) => value));

  test("PRV-01 PRV-02 PRV-05 shown only on request: the registration of the endpoint", () => {
    const { register, lookup } = serve();
    const location = register("ep=a&base=coap://h", "</x>,</y>");
    expect(provenances(lookup("res"))).toEqual([[], []]);
    expect(provenances(lookup("res", "provenance"))).toEqual([[location], [location]]);
    expect(provenances(lookup("res", "provenance&href=coap://h/x"))).toEqual([[location]]);
  });

  test("PRV-03 with a value it filters as well", () => {
    const { register, lookup } = serve();
    const location = register("ep=a", "</x>");
    register("ep=b", "</x>");
    for (const value of [location, `${OWN}${location}`]) {
      expect(provenances(lookup("res", `provenance=${value}`))).toEqual([[location]]);
    }
    expect(lookup("res", "provenance=/*")).toHaveLength(2);
    expect(lookup("res", "provenance=/nothing*")).toHaveLength(0);
    expect(lookup("res", "provenance=")).toHaveLength(0);
  });

  test("PRV-04 the value resolves against the lookup to the registration", () => {
    const { register, lookup } = serve();
    const location = register("ep=a", "</x>");
    const [value] = provenances(lookup("res", "provenance"))[0] ?? [];
    expect(resolveReference(`${OWN}/rd-lookup/res`, value ?? "")).toBe(`${OWN}${location}`);
  });

  test("PRV-06 a provenance that the endpoint submitted is never shown, nor found", () => {
    const { register, lookup, ask } = serve();
    const location = register("ep=a", '</x>;provenance="/reg/forged";rt=t,</y>;provenance');
    expect(provenances(lookup("res"))).toEqual([[], []]);
    expect(provenances(lookup("res", "provenance"))).toEqual([[location], [location]]);
    expect(lookup("res", "provenance=/reg/forged")).toHaveLength(0);
    expect(textOf(ask("GET", location))).toContain("forged");
  });

  test("LPX-11 LPX-12 href=/* and provenance=/* select what is registered here, nothing of others", () => {
    const { register, directory, lookup } = serve();
    const location = register("ep=own&base=coap://h", "</x>");
    directory.openSource("elsewhere", { authority: "coap://rd" });
    const links = [{ target: "coap://k/y", attributes: [] }];
    const times = { renewedAtMs: 0, expiresAtMs: 60_000, expiry: "exact" } as const;
    directory.put("elsewhere", { href: "/r/1", ep: "other", base: "coap://k", attributes: [], links, ...times }, 0);
    expect(lookup("ep")).toHaveLength(2);
    expect(lookup("ep", "href=/*").map(({ target }) => target)).toEqual([location]);
    expect(lookup("res", "provenance=/*").map(({ target }) => target)).toEqual(["coap://h/x"]);
  });

  test("PRV-02 endpoint lookups know no provenance", () => {
    const { register, lookup } = serve();
    register("ep=a");
    expect(provenances(lookup("ep", "provenance"))).toEqual([[]]);
  });
});

describe("draft 5.2: lifetime age", () => {
  const ages = (links: readonly Link[]) =>
    links.map(({ attributes }) => attributes.filter(([name]) => name.startsWith("lt")));
  const replicas = ["2001:db8:5::/48"];
  const authorised = { from: { address: "2001:db8:5::1" } };

  test("AGE-01 AGE-02 lt and lt-age for those who may replicate, growing with time and reset by an update", async () => {
    const { clock, register, ask, lookup } = serve({ replicas });
    const location = register("ep=a&lt=60");
    const age = () => ages(lookup("ep", "lt-age", authorised))[0];
    expect(age()).toEqual([
      ["lt", "60"],
      ["lt-age", "0"],
    ]);
    await clock.advance(59_999);
    expect(age()).toEqual([
      ["lt", "60"],
      ["lt-age", "59"],
    ]);
    ask("POST", `${location}?lt=100`);
    expect(age()).toEqual([
      ["lt", "100"],
      ["lt-age", "0"],
    ]);
  });

  test("AGE-03 with ages Max-Age is at most 60", () => {
    const { register, ask } = serve({ replicas });
    register("ep=a");
    expect(ask("GET", "/rd-lookup/ep?lt-age", authorised).maxAgeS).toBe(60);
    expect(ask("GET", "/rd-lookup/ep", authorised).maxAgeS).toBeUndefined();
  });

  test("AGE-04 for others lt-age is a criterion that nothing meets", () => {
    const { register, lookup } = serve({ replicas });
    register("ep=a", "</x>");
    expect(lookup("ep", "lt-age")).toHaveLength(0);
    expect(ages(lookup("ep"))).toEqual([[]]);
    expect(ages(lookup("ep", "", authorised))).toEqual([[]]);
    expect(lookup("ep", "lt-age=0", authorised)).toHaveLength(0);
    expect(lookup("ep", "lt=90000", authorised)).toHaveLength(0);
    expect(lookup("res", "lt-age", authorised)).toHaveLength(0);
  });

  test("AGE-01 other criteria go with it; ages of others' registrations stay out", () => {
    const { register, directory, lookup } = serve({ replicas });
    register("ep=a");
    register("ep=b");
    directory.openSource("elsewhere", { authority: "coap://rd" });
    directory.put(
      "elsewhere",
      {
        href: "/r/1",
        ep: "c",
        base: "coap://k",
        attributes: [],
        links: [],
        ltMs: 60_000,
        renewedAtMs: 0,
        expiresAtMs: 60_000,
        expiry: "exact",
      },
      0,
    );
    expect(ages(lookup("ep", "lt-age&ep=a", authorised))).toHaveLength(1);
    expect(ages(lookup("ep", "lt-age&ep=c", authorised))).toEqual([[]]);
  });
});

describe("Accept 51: the feed", () => {
  const replicas = ["2001:db8:5::/48"];
  const authorised = { accept: 51, from: { address: "2001:db8:5::1" } };

  test.each([
    {
      name: "not allowed to replicate: 4.03",
      options: { replicas },
      more: { accept: 51 },
      query: "href=/*",
      code: "4.03",
    },
    { name: "no feed here: 4.06", options: { feed: null }, more: { accept: 51 }, query: "href=/*", code: "4.06" },
    { name: "without href=/*: 4.00", options: { replicas }, more: authorised, query: "", code: "4.00" },
    {
      name: "with the other feed's criterion: 4.00",
      options: { replicas },
      more: authorised,
      query: "provenance=/*",
      code: "4.00",
    },
    { name: "with another href: 4.00", options: { replicas }, more: authorised, query: "href=/reg/*", code: "4.00" },
    { name: "with pages: 4.00", options: { replicas }, more: authorised, query: "href=/*&count=1", code: "4.00" },
    { name: "as it should be", options: { replicas }, more: authorised, query: "href=/*", code: "2.05" },
    { name: "by its own full URI", options: { replicas }, more: authorised, query: `href=${OWN}/*`, code: "2.05" },
  ])("$name", ({ options, more, query, code }) => {
    const { ask } = serve(options);
    const answer = ask("GET", `/rd-lookup/ep?${query}`, more);
    expect(codeOf(answer)).toBe(code);
    if (code !== "2.05") expect(textOf(answer)).not.toBe("");
  });
});
