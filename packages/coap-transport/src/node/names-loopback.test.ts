import { expect, test } from "vitest";
import { CODE, METHOD } from "../message/codes.js";
import { REAL_ENVIRONMENT as env } from "../testing/real-server.js";
import type { ObservedResource, RequestHandler } from "../types.js";
import { listenCoap } from "./coap-listener.js";
import { openCoapClient } from "./open-client.js";

const BOTH = ["127.0.0.1", "127.0.0.2"];

/** Answers with `name`; everything can be observed, and nothing ever changes. */
function named(name: string): RequestHandler {
  const resource: ObservedResource = { next: () => null };
  return () => ({ code: CODE.CONTENT, payload: Buffer.from(name), observation: { attach: () => resource } });
}

test.each(["coap", "coap+tcp"])(
  "%s: another address of a name takes over at once where one is refused",
  async (scheme) => {
    const first = await listenCoap({ env, handler: named("first") }, { uri: `${scheme}://127.0.0.1:0` });
    const port = Number(/\d+$/.exec(first.uri)?.[0]);
    const second = await listenCoap({ env, handler: named("second") }, { uri: `${scheme}://127.0.0.2:${port}` });
    const asked: string[] = [];
    const resolve = async (host: string): Promise<string[]> => {
      asked.push(host);
      return BOTH;
    };
    const client = await openCoapClient({ env, resolve });
    const get = async (): Promise<string> => {
      const response = await client.request({ method: METHOD.GET, uri: `${scheme}://rd.example:${port}/x` });
      return Buffer.from(response.payload).toString();
    };
    expect([await get(), await get()]).toEqual(["first", "first"]);
    const ended = new Promise<string>((resolveEnd) => {
      client.observe(
        { method: METHOD.GET, uri: `${scheme}://rd.example:${port}/x` },
        { onNotification: () => {}, onEnd: (reason) => resolveEnd(String(reason)) },
      );
    });
    await get();
    await first.close();
    expect(await get()).toBe("second");
    // What is observed does not stay where nothing is asked any more.
    expect(await ended).toMatch(/moved|over|released|closed|shutting down|error-response/);
    expect(new Set(asked)).toEqual(new Set(["rd.example"]));
    await client.close();
    await second.close();
  },
);
