import { coap } from "@tributary/coap-transport";
import { type RunningNode, startNode } from "@tributary/node";
import { silentLogger } from "@tributary/runtime";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers, eventually } from "../peers/peers.js";
import { findBarriers, goTo, openPage, overflow, startBrowser } from "./browser.js";

const LAMPS = 120;
/** Names are chosen by devices. */
const HOSTILE = '<img src=x onerror="alert(1)">\u202e';

describeWithPeers(["chromium"], "the status page in Chromium", () => {
  let browser: Browser;
  const nodes: RunningNode[] = [];
  let one: RunningNode;
  let two: RunningNode;
  let lp: RunningNode;

  async function start(config: object): Promise<RunningNode> {
    const common = { listen: ["coap://127.0.0.1:0"], http: "127.0.0.1:0" };
    const node = await startNode({ ...common, ...config } as never, { logger: silentLogger, processMetrics: false });
    nodes.push(node);
    return node;
  }

  async function register(rd: RunningNode, ep: string, rest = "", links = '</t>;rt="temperature"'): Promise<void> {
    const { code } = await coap.post(`${rd.uris[0]}/rd?ep=${encodeURIComponent(ep)}${rest}`, links, {
      contentFormat: 40,
    });
    expect(code).toBe("2.01");
  }

  const open = (fragment = "", options: Parameters<typeof openPage>[2] = {}): Promise<Page> =>
    openPage(browser, `${lp.httpUri}/${fragment}`, options);

  beforeAll(async () => {
    browser = await startBrowser();
    one = await start({ name: "rd-a", registration: {} });
    two = await start({ name: "rd-b", registration: {} });
    const upstreams = [
      { name: "rd-a", uri: one.uris[0] },
      { name: "rd-b", uri: two.uris[0] },
    ];
    lp = await start({ name: "lp-north", lookup: { upstreams } });
    const lamps = Array.from({ length: LAMPS }, (_, number) => `lamp${String(number).padStart(3, "0")}`);
    await Promise.all(
      lamps.map((ep) => register(one, ep, `&d=floor1&base=coap://${ep}.example`, '</light>;rt="light";if="core.a"')),
    );
    await register(one, "sensor1");
    await eventually(() => lp.status().registrations.visible === LAMPS + 1);
    await register(two, "sensor1");
    await register(two, HOSTILE, "&lt=3000");
    await eventually(() => {
      expect(lp.status().registrations).toMatchObject({ visible: LAMPS + 2, superseded: 1 });
      return true;
    });
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all(nodes.splice(0).map((node) => node.close()));
  });

  test("the overview shows who follows whom", async () => {
    const page = await open();
    await page.getByRole("list", { name: "Upstreams of lp-north" }).getByText("rd-a", { exact: true }).waitFor();
    const upstreams = page.getByRole("table", { name: "Upstreams" });
    await upstreams.getByRole("row", { name: /rd-a .*live feed everything 121 0/ }).waitFor();
    await upstreams.getByRole("row", { name: /rd-b .*live feed everything 2 0/ }).waitFor();
    await page.getByText("122", { exact: true }).first().waitFor();
    await page.goto(`${one.httpUri}/`);
    await page.getByRole("list", { name: "Followers of rd-a" }).getByText("up to date").waitFor();
  });

  test("search, pages, and why something is shown or hidden", async () => {
    const page = await open("#/search");
    await page.getByText("1 to 50 of 122").waitFor();
    await page.getByRole("link", { name: "Next" }).click();
    await page.getByText("51 to 100 of 122").waitFor();
    await page.goBack();
    await page.getByText("1 to 50 of 122").waitFor();

    await page.getByLabel("Filter").fill("d=floor1 ep=lamp00*");
    await page.keyboard.press("Enter");
    await page.getByText("1 to 10", { exact: true }).waitFor();
    expect(page.url()).toContain("q=d%3Dfloor1+ep%3Dlamp00*");

    await page.getByLabel("Resources").check();
    await page.getByLabel("Filter").fill("if=core.a ep=lamp007");
    await page.keyboard.press("Enter");
    await page.getByText("1 to 1", { exact: true }).waitFor();
    await page.getByRole("button", { name: /\/light/ }).click();
    await page.getByText("Registered by lamp007 in floor1").waitFor();
    await page.getByText("the only registration that is known").waitFor();

    await page.getByLabel("All records").check();
    await page.getByLabel("Filter").fill("ep=sensor1");
    await page.getByLabel("State").selectOption("hidden");
    await page.getByRole("button", { name: /^sensor1.*why it is hidden$/ }).click();
    await page.getByText(/sensor1 at rd-a: renewed .* before the one at coap:/).waitFor();
    await page.getByText("sensor1 at rd-b: renewed last of all that are known.").waitFor();

    await page.getByLabel("Filter").fill("rt=light");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "not by rt" }).waitFor();
  });

  test("what a device is called is text, and cannot change what stands beside it", async () => {
    const page = await open("#/search?q=ep%3D%3Cimg*");
    await page.getByRole("button", { name: '<img src=x onerror="alert(1)">\\u202e' }).click();
    await page.getByText("the only registration that is known").waitFor();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
  });

  test("events come as they happen, after those from before", async () => {
    const page = await open("#/events");
    const events = page.getByRole("region", { name: "What happened" });
    await events.getByText("as it happens").waitFor();
    await page.getByLabel(/^Endpoint, sector/).fill("door");
    await register(one, "door1");
    await events.getByRole("link", { name: "door1" }).waitFor();
    expect(await events.getByRole("listitem").count()).toBe(1);
    await page.getByLabel(/^Endpoint, sector/).fill("sensor1");
    await events.getByText("superseded").waitFor();
    await events.getByRole("link", { name: "sensor1" }).first().click();
    await page.getByRole("region", { name: "Why sensor1 is shown or not" }).getByText("renewed last of all").waitFor();
  });

  test("the console writes down what was sent and what came back", async () => {
    const page = await open("#/console");
    await page.getByLabel("Query").fill("ep=lamp007");
    await page.getByLabel("Accept").selectOption("application/json");
    await page.getByLabel("Query").press("Enter");
    const response = page.getByRole("region", { name: "Response" });
    await response.getByText("HTTP/1.1 200 OK").waitFor();
    const sent = await page.getByRole("region", { name: "Request", exact: true }).locator("pre").textContent();
    expect(sent).toBe(
      `GET /rd-lookup/res?ep=lamp007 HTTP/1.1\nHost: ${new URL(lp.httpUri ?? "").host}\nAccept: application/json`,
    );
    const [, body = ""] = ((await response.locator("pre").textContent()) ?? "").split("\n\n");
    const expected = await fetch(`${lp.httpUri}/rd-lookup/res?ep=lamp007`, { headers: { accept: "application/json" } });
    expect(JSON.parse(body)).toEqual(await expected.json());
    await page.getByLabel(/If-None-Match/).check();
    await page.getByRole("button", { name: "Send" }).click();
    await response.getByText("HTTP/1.1 304").waitFor();
  });

  test("everything can be done by keyboard", async () => {
    const page = await open();
    await page.getByRole("table", { name: "Upstreams" }).waitFor();
    const focused = (): Promise<string> => page.locator(":focus").evaluate((element) => element.textContent);
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Skip to content");
    await page.keyboard.press("Enter");
    expect(await focused()).toBe("Overview");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("rd-a");
    await page.keyboard.press("Enter");
    await page.getByText("endpoint lookup").waitFor();
    expect(await page.getByRole("button", { name: "rd-a" }).getAttribute("aria-expanded")).toBe("true");
    await page.getByRole("link", { name: "Charts" }).focus();
    await page.keyboard.press("Enter");
    // The link has the same text as the heading that is focused afterwards.
    await expect.poll(() => page.title()).toBe("Charts · lp-north");
    await expect.poll(() => page.locator(":focus").evaluate((element) => element.tagName)).toMatch(/^H\d$/);
    expect(await focused()).toBe("Charts");
  });

  test("a node that is not reached, and is again", async () => {
    const page = await open();
    await page.getByText("ready", { exact: true }).waitFor();
    await page.route(/\/(api\/|metrics|readyz)/, (route) => route.abort());
    await page.clock.fastForward(2000);
    await page.getByRole("alert").filter({ hasText: "The node is not reached" }).waitFor();
    await page.unrouteAll();
    await page.clock.fastForward(2000);
    await page.getByText("ready", { exact: true }).waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  test("axe finds no barriers in light, in dark, and on a telephone, where nothing is wider than the screen", async () => {
    const page = await open();
    const views: [string, () => Promise<unknown>][] = [
      ["#/overview", () => page.getByRole("button", { name: "rd-a" }).click()],
      [
        "#/search?kind=res&q=ep%3Dlamp00*",
        () =>
          page
            .getByRole("button", { name: /\/light/ })
            .first()
            .click(),
      ],
      ["#/search?why=sensor1", () => page.getByText("At the upstreams").waitFor()],
      ["#/events", () => page.getByText("as it happens").waitFor()],
      ["#/console", () => page.getByRole("button", { name: "Send" }).click()],
      [
        "#/charts",
        () =>
          page.clock
            .fastForward(2000)
            .then(() => page.getByRole("table", { name: "Registrations", exact: true }).waitFor()),
      ],
    ];
    for (const [fragment, act] of views) {
      await goTo(page, fragment);
      await act();
      expect(await findBarriers(page), fragment).toEqual([]);
      await page.emulateMedia({ colorScheme: "dark" });
      expect(await findBarriers(page, ["color-contrast"]), `${fragment}, dark`).toEqual([]);
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize({ width: 360, height: 740 });
      expect(
        await findBarriers(page, ["target-size", "scrollable-region-focusable"]),
        `${fragment}, telephone`,
      ).toEqual([]);
      expect(await overflow(page), `${fragment}, telephone`).toBeLessThanOrEqual(0);
      await page.setViewportSize({ width: 1280, height: 900 });
    }
  });

  // The last one: it ends an RD.
  test("an outage shows as it happens, with the time that is left", async () => {
    const page = await open();
    await page.getByRole("table", { name: "Upstreams" }).waitFor();
    await two.close();
    await eventually(() => lp.status().registrations.stale === 2);
    await page.clock.fastForward(2000);
    await page.getByRole("status").filter({ hasText: "rd-b is stale" }).waitFor();
    const stale = page.getByRole("region", { name: "Stale registrations" });
    await stale.getByRole("row", { name: /^rd-b 2 \d+ min \d+ s/ }).waitFor();
    const countdown = stale.getByRole("listitem").first();
    const before = await countdown.textContent();
    await page.clock.fastForward(1000);
    await expect.poll(() => countdown.textContent()).not.toBe(before);
    await page.getByRole("region", { name: "Latest events" }).getByText("lost").waitFor();
  });
});
