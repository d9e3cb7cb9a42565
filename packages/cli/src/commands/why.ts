import type { CoapClient } from "@tributary/coap-transport";
import { firstValue, type Link, resolveReference } from "@tributary/link-model";
import { type Explanation, parseCoapOrigin } from "@tributary/node";
import { type CommandIo, EXIT_FAILURE, UsageError } from "../command-io.js";
import { LookupFailure } from "../lookup-failure.js";
import { askLookup } from "../lookup-request.js";
import { NodeApiFailure, nodeApiUri, readNodeApi } from "../node-api.js";
import { openProtectedClient } from "../protection/protected-access.js";
import type { ProtectionFlags } from "../protection/protection-options.js";
import { formatTable } from "../table.js";

/** Arguments of `tributary why`. */
export interface WhyOptions {
  /** `ep=NAME`, and `d=SECTOR` where only one is of interest. */
  readonly criteria: readonly string[];
  /** HTTP interface of the node. */
  readonly at: string;
  readonly json: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly protection?: ProtectionFlags;
}

/** What an upstream says of the endpoint when it is asked directly. */
interface DirectAnswer {
  readonly name: string;
  readonly uri: string;
  /** Registration resources that it lists. */
  readonly hrefs?: readonly string[];
  readonly error?: string;
}

/** `tributary why`: tells what a node and its upstreams know of an endpoint, and why. Returns the exit status. */
export async function why(options: WhyOptions, io: CommandIo): Promise<number> {
  const client = await openProtectedClient(options.protection ?? {}, [], io.packets);
  try {
    return await runWhy(options, { io, client, fetch: globalThis.fetch });
  } finally {
    await client.close();
  }
}

/** Runs the command with an injected network. */
export async function runWhy(
  { criteria, at, json, timeout }: WhyOptions,
  {
    io,
    client,
    fetch,
  }: { readonly io: CommandIo; readonly client: CoapClient; readonly fetch: typeof globalThis.fetch },
): Promise<number> {
  const { ep, d } = readCriteria(criteria);
  const uri = nodeApiUri(at);
  const query = new URLSearchParams({ ep, ...(d === undefined ? {} : { d }) });
  const explanation = readExplanation(await readNodeApi(uri, `/api/why?${query}`, { io, fetch, timeout }), uri);
  const asked = await Promise.all(
    explanation.upstreams.map((upstream) => askDirectly(upstream, { ep, d }, { io, client, timeout })),
  );
  if (json) io.out(JSON.stringify({ ...explanation, asked }, null, 2));
  else for (const line of story(explanation, asked, uri)) io.out(line);
  const isKnown = explanation.registrations.length > 0 || asked.some(({ hrefs = [] }) => hrefs.length > 0);
  return isKnown ? 0 : EXIT_FAILURE;
}

function readCriteria(criteria: readonly string[]): { readonly ep: string; readonly d: string | undefined } {
  const values = new Map<string, string>();
  for (const item of criteria) {
    const [, name, value] = /^(ep|d)=(.*)$/s.exec(item) ?? [];
    if (name === undefined || value === undefined || values.has(name))
      throw new UsageError(`"${item}" does not say which endpoint; write ep=NAME, and d=SECTOR if you like`);
    values.set(name, value);
  }
  const ep = values.get("ep");
  if (ep === undefined || ep === "") throw new UsageError("say which endpoint: ep=NAME");
  return { ep, d: values.get("d") };
}

function readExplanation(value: unknown, { origin }: URL): Explanation {
  const isExplanation =
    typeof value === "object" &&
    value !== null &&
    ["registrations", "upstreams", "events"].every((name) => Array.isArray(Reflect.get(value, name)));
  if (!isExplanation) throw new NodeApiFailure(`no explanation from ${origin}: it is not a Tributary node`);
  return value as Explanation;
}

/** Asks what an upstream itself lists: the node may have an old copy, or none. */
async function askDirectly(
  { name, uri }: Explanation["upstreams"][number],
  { ep, d }: { readonly ep: string; readonly d: string | undefined },
  { io, client, timeout }: { readonly io: CommandIo; readonly client: CoapClient; readonly timeout: number },
): Promise<DirectAnswer> {
  const origin = parseCoapOrigin(uri);
  if (!origin.ok) return { name, uri, error: origin.message };
  const asker = { client, io, timeoutMs: timeout * 1000, server: origin.origin.uri };
  try {
    const links = await askLookup(asker, "ep", [`ep=${ep}`, ...(d === undefined || d === "" ? [] : [`d=${d}`])]);
    // Some RDs ignore criteria.
    const found = links.filter((link) => isOf(link, ep, d));
    return { name, uri, hrefs: found.map(({ target }) => resolveReference(`${asker.server}/`, target)) };
  } catch (error) {
    return { name, uri, error: LookupFailure.explain(error, asker.server) };
  }
}

function isOf(link: Link, ep: string, d: string | undefined): boolean {
  return firstValue(link, "ep") === ep && (d === undefined || (firstValue(link, "d") ?? "") === d);
}

function story(
  { ep, registrations, upstreams, events }: Explanation,
  asked: readonly DirectAnswer[],
  at: URL,
): string[] {
  const rows = registrations.map(({ state, source, href, d, age, expiresIn, reason }) => [
    state === "superseded" ? "hidden" : "shown",
    `${ep}${d === undefined ? "" : `, sector ${d}`}`,
    `${href} at ${source}`,
    `renewed ${duration(age)} ago`,
    `ends in ${duration(expiresIn)}`,
    reason,
  ]);
  return [
    ...(rows.length === 0 ? [`${at.origin} knows no registration of ${ep}`] : formatTable(REGISTRATION_HEADINGS, rows)),
    ...(upstreams.length === 0
      ? []
      : [
          "",
          ...formatTable(
            UPSTREAM_HEADINGS,
            upstreams.map(({ name, phase, reason }, index) => [name, phase, reason, answerText(asked[index])]),
          ),
        ]),
    ...(events.length === 0 ? [] : ["", ...events.map(eventText)]),
  ];
}

const REGISTRATION_HEADINGS = ["", "ENDPOINT", "REGISTRATION", "RENEWED", "END", "WHY"] as const;
const UPSTREAM_HEADINGS = ["UPSTREAM", "PHASE", "HERE", "IT SAYS"] as const;

function answerText(answer: DirectAnswer | undefined): string {
  if (answer?.error !== undefined) return answer.error;
  const hrefs = answer?.hrefs ?? [];
  return hrefs.length === 0 ? "no such endpoint" : hrefs.join(", ");
}

function eventText({ at, kind, source, href, before }: Explanation["events"][number]): string {
  const instead = before === undefined ? "" : `, instead of ${before.href} at ${before.source}`;
  return `${at}  ${kind} ${href ?? ""} at ${source ?? ""}${instead}`;
}

/** Seconds in the two largest units that fit. */
function duration(seconds: number): string {
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)}d${Math.floor((seconds % 86_400) / 3600)}h`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)}m${Math.floor(seconds % 60)}s`;
  return `${Math.floor(seconds)}s`;
}
