import { isIP } from "node:net";

/**
 * Returns a function that decides by the Host field whether a request is for this node (RFC 9110 section 7.4). This protects against
 * DNS rebinding: a web page whose name resolves to this address could otherwise read the directory through the browser of a user.
 * IP addresses and `localhost` are safe. Other names are accepted when they are in `names`, in any case and with any port.
 */
export function createHostCheck(names: readonly string[]): (host: string | undefined) => boolean {
  const accepted = new Set(names.map(canonicalName));
  return (host) => {
    // Browsers always send a Host field.
    if (host === undefined) return true;
    const [, literal, name] = /^(?:\[([^\]]+)\]|([^:[\]/@\s]+))(?::\d{0,5})?$/.exec(host) ?? [];
    if (literal !== undefined) return isIP(literal) === 6;
    if (name === undefined) return false;
    if (isIP(name) === 4) return true;
    const canonical = canonicalName(name);
    return canonical === "localhost" || canonical.endsWith(".localhost") || accepted.has(canonical);
  };
}

/** Lower case, without the trailing dot. */
function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
