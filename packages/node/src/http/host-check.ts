import { isIP } from "node:net";

/**
 * Decides by the Host field whether a request is for this node (RFC 9110 section 7.4). A web page whose name was pointed at this
 * address (DNS rebinding) would else read the directory through the browser of anybody who can reach it. IP addresses and
 * `localhost` cannot be pointed elsewhere; other names are accepted when they are in `names`, in any case and with any port.
 */
export function createHostCheck(names: readonly string[]): (host: string | undefined) => boolean {
  const accepted = new Set(names.map(canonicalName));
  return (host) => {
    // Browsers always send it.
    if (host === undefined) return true;
    const [, literal, name] = /^(?:\[([^\]]+)\]|([^:[\]/@\s]+))(?::\d{0,5})?$/.exec(host) ?? [];
    if (literal !== undefined) return isIP(literal) === 6;
    if (name === undefined) return false;
    if (isIP(name) === 4) return true;
    const canonical = canonicalName(name);
    return canonical === "localhost" || canonical.endsWith(".localhost") || accepted.has(canonical);
  };
}

/** Lower case, without the dot of the root. */
function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
