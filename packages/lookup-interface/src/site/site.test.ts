import { CODE } from "@tributary/coap-transport";
import { createVirtualWorld } from "@tributary/coap-transport/testing";
import { parseLinkFormat } from "@tributary/link-model";
import {
  buildRequest,
  codeOf,
  linksOf,
  openClient,
  serveDirectory,
  textOf,
} from "@tributary/resource-directory/testing";
import { describe, expect, test } from "vitest";
import type { SiteResource } from "../types.js";
import { createSite } from "./site.js";

const parsed = parseLinkFormat('<coap://[2001:db8:23::2]/rd>;rt="core.rd",</about>;rel=impl-info');
const advertise = parsed.ok ? parsed.links : [];

function targets(uri: string, options = {}): string[] {
  const { ask } = serveDirectory(createVirtualWorld(), options);
  const answer = ask("GET", uri);
  expect(answer.contentFormat).toBe(40);
  return linksOf(answer).map(({ target }) => target);
}

describe("RFC 9176 section 4.3, RFC 6690 section 4.1: /.well-known/core", () => {
  test.each([
    { name: "DIS-01 GET ?rt=core.rd*", query: "?rt=core.rd*", want: ["/rd", "/rd-lookup/ep", "/rd-lookup/res"] },
    { name: "DIS-02 GET ?rt=core.rd", query: "?rt=core.rd", want: ["/rd"] },
    { name: "DIS-03 GET ?rt=core.rd-lookup*", query: "?rt=core.rd-lookup*", want: ["/rd-lookup/ep", "/rd-lookup/res"] },
    { name: "DIS-04 GET ?rt=core.rd-lookup-ep", query: "?rt=core.rd-lookup-ep", want: ["/rd-lookup/ep"] },
    { name: "DIS-04 GET ?rt=core.rd-lookup-res", query: "?rt=core.rd-lookup-res", want: ["/rd-lookup/res"] },
    { name: "DIS-05 GET ?rt=nothing", query: "?rt=nothing", want: [] },
    { name: "DIS-12 GET ?rel=impl-info", query: "?rel=impl-info", want: [] },
    { name: "DIS-05 GET ", query: "", want: ["/rd", "/rd-lookup/ep", "/rd-lookup/res"] },
    { name: "DIS-05 GET ?href=/rd", query: "?href=/rd", want: ["/rd"] },
    { name: "DIS-05 GET ?href=/rd*", query: "?href=/rd*", want: ["/rd", "/rd-lookup/ep", "/rd-lookup/res"] },
    { name: "DIS-10 GET ?obs", query: "?obs", want: ["/rd-lookup/ep", "/rd-lookup/res"] },
    { name: "DIS-05 GET ?rt=core.rd*&obs", query: "?rt=core.rd*&obs", want: ["/rd-lookup/ep", "/rd-lookup/res"] },
  ])("$name", ({ query, want }) => {
    expect(targets(`/.well-known/core${query}`)).toEqual(want);
  });

  test("DIS-09 ct lists the formats, quoted when there are several", () => {
    const { ask } = serveDirectory(createVirtualWorld());
    const text = textOf(ask("GET", "/.well-known/core"));
    expect(text).toContain('</rd>;rt="core.rd";ct=40');
    expect(text).toContain('</rd-lookup/ep>;rt="core.rd-lookup-ep";ct="40 51";obs');
  });

  test("DIS-17 DIS-11 configured links come after the node's own and are filtered like them", () => {
    const site = { advertise };
    expect(targets("/.well-known/core", { site })).toEqual([
      "/rd",
      "/rd-lookup/ep",
      "/rd-lookup/res",
      "coap://[2001:db8:23::2]/rd",
      "/about",
    ]);
    expect(targets("/.well-known/core?rt=core.rd", { site })).toEqual(["/rd", "coap://[2001:db8:23::2]/rd"]);
    expect(targets("/.well-known/core?rel=impl-info", { site })).toEqual(["/about"]);
  });

  test.each([
    { name: "DIS-13 no Accept", accept: undefined, code: "2.05" },
    { name: "DIS-13 Accept link-format", accept: 40, code: "2.05" },
    { name: "DIS-14 Accept JSON", accept: 50, code: "4.06" },
    { name: "DIS-14 Accept of the feed", accept: 51, code: "4.06" },
  ])("$name", ({ accept, code }) => {
    const { ask } = serveDirectory(createVirtualWorld());
    const answer = ask("GET", "/.well-known/core", accept === undefined ? {} : { accept });
    expect(codeOf(answer)).toBe(code);
    if (code === "2.05") expect(answer.contentFormat).toBe(40);
  });

  test("LKP-31 linkset+json where a number is configured", () => {
    const site = { linksetFormat: 65_000 };
    const { ask } = serveDirectory(createVirtualWorld(), { site });
    const answer = ask("GET", "/.well-known/core?rt=core.rd", { accept: 65_000 });
    expect(answer.contentFormat).toBe(65_000);
    expect(JSON.parse(textOf(answer))).toEqual({
      linkset: [{ anchor: "/", hosts: [{ href: "/rd", rt: ["core.rd"], ct: ["40"] }] }],
    });
  });

  test("DIS-01 over the message layer", async () => {
    const world = createVirtualWorld();
    serveDirectory(world);
    const answer = await openClient(world).request("GET", "/.well-known/core?rt=core.rd*");
    expect(linksOf(answer)).toHaveLength(3);
    expect(answer.contentFormat).toBe(40);
  });

  test.each(["POST", "PUT", "DELETE", "FETCH"] as const)("SIM-11 %s is 4.05", (method) => {
    const { ask } = serveDirectory(createVirtualWorld());
    expect(codeOf(ask(method, "/.well-known/core?ep=a"))).toBe("4.05");
  });
});

describe("routing", () => {
  const named = (path: readonly string[], more: Partial<SiteResource> = {}): SiteResource => ({
    path,
    handle: () => ({ code: CODE.CONTENT, payload: Buffer.from(`/${path.join("/")}`) }),
    ...more,
  });
  const site = createSite([
    named(["a"]),
    named(["a", "b"], { isSubtree: true }),
    named(["a", "b", "c"]),
    named(["t", ""]),
    named(["with/slash"], { attributes: [["rt", "x y"]] }),
  ]);
  const at = (path: readonly string[]) => site({ ...buildRequest("GET", "/"), path });

  test.each([
    { path: ["a"], want: "/a" },
    { path: ["a", "b"], want: "/a/b" },
    { path: ["a", "b", "c"], want: "/a/b/c" },
    { path: ["a", "b", "x"], want: "/a/b" },
    { path: ["a", "b", "c", "d"], want: "/a/b" },
    { path: ["t", ""], want: "/t/" },
    { path: ["with/slash"], want: "/with/slash" },
  ])("$path is served by $want", async ({ path, want }) => {
    expect(textOf(await at(path))).toBe(want);
  });

  test.each([
    { path: [] },
    { path: ["x"] },
    { path: ["a", ""] },
    { path: ["a", "x"] },
    { path: ["t"] },
    { path: ["with", "slash"] },
    { path: ["constructor"] },
    { path: ["x".repeat(255), "y".repeat(255)] },
  ])("$path is nowhere: 4.04 with a diagnostic", async ({ path }) => {
    const answer = await at(path);
    expect(codeOf(answer)).toBe("4.04");
    expect(textOf(answer)).toContain("nothing at /");
    expect(textOf(answer).length).toBeLessThan(120);
  });

  test("paths are advertised as references", async () => {
    const answer = await site(buildRequest("GET", "/.well-known/core"));
    expect(textOf(answer)).toBe('</with%2Fslash>;rt="x y"');
  });

  test("a site may bring a /.well-known/core of its own", async () => {
    const own = createSite([named([".well-known", "core"])]);
    expect(textOf(await own(buildRequest("GET", "/.well-known/core")))).toBe("/.well-known/core");
  });
});
