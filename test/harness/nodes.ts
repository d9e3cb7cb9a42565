import { inspect } from "node:util";
import {
  type ClientResponse,
  CODE,
  CONTENT_FORMAT,
  type CoapClient,
  formatCode,
  METHOD,
  openCoapClient,
} from "@tributary/coap-transport";
import { type Link, parseLinkFormat } from "@tributary/link-model";
import type { Node, RunningNode } from "@tributary/node";
import { checkConfig, createNode, startNode, systemNetwork } from "@tributary/node";
import { type Clock, silentLogger, systemClock } from "@tributary/runtime";
import { onTestFinished } from "vitest";

/** The real clock, which a test can move ahead: what is stored looks older at once, timers keep their pace. */
export class MovableClock implements Clock {
  readonly #real = systemClock();
  #aheadMs = 0;

  moveAhead(ms: number): void {
    this.#aheadMs += ms;
  }
  nowMs(): number {
    return this.#real.nowMs() + this.#aheadMs;
  }
  wallMs(): number {
    return this.#real.wallMs() + this.#aheadMs;
  }
  setTimer(delayMs: number, callback: () => void) {
    return this.#real.setTimer(delayMs, callback);
  }
}

let nodes = 0;

/** For looking into a failing test: `TRIBUTARY_TEST_LOG=1`. */
const tell = (message: string, fields?: object) => process.stderr.write(`${message} ${inspect(fields)}\n`);
const consoleLogger = { debug: tell, info: tell, warn: tell, error: tell };

/** A node of this process on real sockets of loopback, closed at the end of the test. */
export async function openNode(
  configuration: string,
  clock: Clock = systemClock(),
  scheme: "coap" | "coap+tcp" = "coap",
  listen = JSON.stringify([`${scheme}://[::1]:0`]),
): Promise<Node & { readonly uri: string }> {
  const checked = checkConfig(`name: node${nodes}\nlisten: ${listen}\nhttp: false\n${configuration}`, "test.yaml");
  if (!checked.ok) throw new Error(checked.errors.map(({ message }) => message).join("\n"));
  const env = {
    clock,
    random: Math.random,
    logger: process.env.TRIBUTARY_TEST_LOG === undefined ? silentLogger : consoleLogger,
  };
  const nodeId = (nodes++).toString(16).padStart(16, "0");
  const node = await createNode(
    { env, network: systemNetwork(env, checked.config.limits, checked.config.amplification), nodeId },
    checked.config,
  );
  onTestFinished(() => node.close());
  return Object.assign(node, { uri: node.listening[0] as string });
}

/** A node of this process with real sockets and state on disk, closed at the end of the test; its configuration is a value. */
export async function startTestNode(config: object): Promise<RunningNode> {
  const node = await startNode({ http: false, ...config } as never, { logger: silentLogger });
  onTestFinished(() => node.close());
  return node;
}

/** A client of this process, closed at the end of the test. */
export async function openTestClient(): Promise<TestClient> {
  const env = { clock: systemClock(), random: Math.random, logger: silentLogger };
  const client = await openCoapClient({ env }, {});
  onTestFinished(() => client.close());
  return new TestClient(client);
}

/** Speaks RFC 9176. */
export class TestClient {
  readonly coap: CoapClient;

  constructor(coap: CoapClient) {
    this.coap = coap;
  }

  get(uri: string, query: readonly string[] = []): Promise<ClientResponse> {
    return this.coap.request({ method: METHOD.GET, uri, query });
  }

  /** Links of a lookup that must succeed. */
  async links(uri: string, query: readonly string[] = []): Promise<Link[]> {
    const response = await this.get(uri, query);
    if (response.code !== CODE.CONTENT)
      throw new Error(`${uri}: ${formatCode(response.code)} ${new TextDecoder().decode(response.payload)}`);
    const parsed = parseLinkFormat(response.payload);
    if (!parsed.ok) throw new Error(parsed.error.message);
    return parsed.links;
  }

  async targets(uri: string, query: readonly string[] = []): Promise<string[]> {
    return (await this.links(uri, query)).map(({ target }) => target);
  }

  /** Register; the path of the registration resource. */
  async register(rd: string, query: readonly string[], payload = ""): Promise<string> {
    const response = await this.coap.request({
      method: METHOD.POST,
      uri: `${rd}/rd`,
      query,
      contentFormat: CONTENT_FORMAT.LINK_FORMAT,
      payload: new TextEncoder().encode(payload),
    });
    if (response.code !== CODE.CREATED)
      throw new Error(`${rd}: ${formatCode(response.code)} ${new TextDecoder().decode(response.payload)}`);
    return `/${response.locationPath.join("/")}`;
  }

  remove(uri: string): Promise<ClientResponse> {
    return this.coap.request({ method: METHOD.DELETE, uri });
  }
}
