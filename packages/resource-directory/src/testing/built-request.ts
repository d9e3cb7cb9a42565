import { METHOD, type ServerRequest } from "@tributary/coap-transport";

/** A request as a handler gets it. `uri` is path and query; percent signs are literal. */
export type BuiltRequest = Partial<Omit<ServerRequest, "payload" | "path" | "query" | "peer">> & {
  readonly from?: Partial<ServerRequest["peer"]>;
  readonly payload?: string | Uint8Array;
};

export const CLIENT_ADDRESS = "2001:db8::2";
export const DIRECTORY_ADDRESS = "2001:db8:23::3";

/** Build a request from an ordinary client, e.g. `buildRequest("POST", "/rd?ep=a", { payload: "</x>" })`. */
export function buildRequest(method: keyof typeof METHOD, uri: string, more: BuiltRequest = {}): ServerRequest {
  const { from, payload = "", ...rest } = more;
  const at = uri.indexOf("?");
  const path = at < 0 ? uri : uri.slice(0, at);
  const peer = { key: "", transport: "udp", address: CLIENT_ADDRESS, port: 40_000, ...from } as const;
  return {
    method: METHOD[method],
    path: path === "/" ? [] : path.slice(1).split("/"),
    query: at < 0 ? [] : uri.slice(at + 1).split("&"),
    etags: [],
    options: [],
    isMulticast: false,
    scheme: "coap",
    local: { address: DIRECTORY_ADDRESS, port: 5683 },
    ...rest,
    payload: typeof payload === "string" ? Buffer.from(payload, "utf8") : payload,
    peer: { ...peer, key: `${peer.transport} [${peer.address}%${peer.zone ?? ""}]:${peer.port}` },
  };
}
