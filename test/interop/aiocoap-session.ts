import { aiocoapClient } from "../peers/peers.js";

/** Sixty links: more than a datagram takes. */
export const SIXTY_LINKS = Array.from(
  { length: 60 },
  (_, index) => `</sensors/${index}>;rt="ex.sensor";title="Sensor number ${index}"`,
).join(",");

/** What aiocoap-client saw of an RD from discovery to removal. */
export interface AiocoapSession {
  readonly discovered: string;
  readonly sensors: number;
  readonly afterRemoval: string;
}

/** Discover, register SIXTY_LINKS, look them up and remove them, each with a client of its own. */
export async function useRdByAiocoap(
  uri: string,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<AiocoapSession> {
  const ask = async (method: string, path: string, ...more: string[]) =>
    (await aiocoapClient([...args, "-m", method, ...more, `${uri}${path}`], { env })).stdout;
  const discovered = await ask("GET", "/.well-known/core");
  const links = ["--content-format", "application/link-format", "--payload", SIXTY_LINKS];
  await ask("POST", "/rd?ep=big&base=coap://h", ...links);
  const sensors = (await ask("GET", "/rd-lookup/res?ep=big")).match(/sensors\//g)?.length ?? 0;
  const href = /<(\/reg\/.*?)>/.exec(await ask("GET", "/rd-lookup/ep?ep=big"))?.[1] ?? "";
  await ask("DELETE", href);
  return { discovered, sensors, afterRemoval: (await ask("GET", "/rd-lookup/ep?ep=big")).trim() };
}
