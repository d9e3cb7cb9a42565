import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { describe, expect, test } from "vitest";
import { codeOf, serveDirectory } from "../testing/served-directory.js";

const NODE = { address: "2001:db8:23::4", port: 40_001 };
const CLIENT = "coap://[2001:db8::7]:61616";

function serve() {
  const { ask, register, lookup } = serveDirectory(createVirtualWorld(), { resourcePath: ["reg", "rd-c"] });
  const base = () => lookup("ep")[0]?.attributes.find(([name]) => name === "base")?.[1];
  const update = (location: string, query: string, from = NODE) =>
    codeOf(ask("POST", `${location}?${query}`, { from }));
  return { ask, register: (query: string) => register(query, "</x>", { from: NODE }), lookup, base, update };
}

describe("draft 6.2.2: a registration by way of another node", () => {
  test("LPX-18 LPX-21 the base is where the endpoint is, and the location has the name of the RD", () => {
    const { register, base, lookup } = serve();
    expect(register(`ep=a&implicit-base=${CLIENT}`)).toMatch(/^\/reg\/rd-c\/[^/]+$/);
    expect(base()).toBe(CLIENT);
    expect(lookup("res")[0]?.target).toBe(`${CLIENT}/x`);
    expect(
      lookup("ep")[0]?.attributes.map(([name]) => name),
      "it is no attribute",
    ).toEqual(["ep", "base", "rt"]);
  });

  test("LPX-21 UPD-05 it follows the endpoint, through that node, another one or none", () => {
    const { register, update, base } = serve();
    const location = register(`ep=a&implicit-base=${CLIENT}`);
    expect(update(location, "implicit-base=coap://[2001:db8::8]")).toBe("2.04");
    expect(base()).toBe("coap://[2001:db8::8]");
    expect(update(location, "lt=60", { address: "2001:db8::9", port: 5683 })).toBe("2.04");
    expect(base()).toBe("coap://[2001:db8::9]");
    expect(update(location, `implicit-base=${CLIENT}`)).toBe("2.04");
    expect(base()).toBe(CLIENT);
  });

  test("LPX-21 UPD-04 a base that the endpoint gave stays", () => {
    const { register, update, base } = serve();
    const location = register(`ep=a&base=coap://given&implicit-base=${CLIENT}`);
    expect(base()).toBe("coap://given");
    expect(update(location, `lt=60&implicit-base=${CLIENT}`)).toBe("2.04");
    expect(base()).toBe("coap://given");
    // It is not even looked at: the endpoint may be on a link where its address is enough for it.
    expect(update(location, "implicit-base=coap://[fe80::1]")).toBe("2.04");
  });

  test.each([
    { name: "REG-18 LPX-21 of a link that this node is not on", value: "coap://[fe80::1]" },
    { name: "no base", value: "/x" },
    { name: "empty", value: "" },
    { name: "with a query", value: "coap://h/?q" },
  ])("4.00: $name", ({ value }) => {
    const { ask, lookup } = serve();
    expect(codeOf(ask("POST", `/rd?ep=a&implicit-base=${value}`, { from: NODE }))).toBe("4.00");
    expect(lookup("ep")).toEqual([]);
  });

  test("4.00 when it is given twice", () => {
    const { ask } = serve();
    const twice = `implicit-base=${CLIENT}&implicit-base=${CLIENT}`;
    expect(codeOf(ask("POST", `/rd?ep=a&${twice}`, { from: NODE }))).toBe("4.00");
  });

  test("simple registration reads from where it came, and from nowhere else", () => {
    const { ask } = serve();
    expect(codeOf(ask("POST", `/.well-known/rd?ep=a&implicit-base=${CLIENT}`, { from: NODE }))).toBe("4.00");
  });
});
