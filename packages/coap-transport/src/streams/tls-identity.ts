import type { PeerCertificate, TLSSocket } from "node:tls";
import type { PeerIdentity } from "../types.js";

/** Names that a program may compare, by their type in the extension (RFC 5280 section 4.2.1.6). */
const NAME_TYPES: ReadonlySet<string> = new Set(["DNS", "URI", "email", "IP Address"]);
/** Node quotes, as JSON, values that could be taken for several. */
const ALTERNATIVE_NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
const CONTROL = /[\u0000-\u001f\u007f]/;

/** The certificate that the peer showed; undefined: none. */
export function shownCertificate(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerCertificate() as PeerCertificate | undefined;
  return certificate?.raw === undefined ? undefined : certificate;
}

/** Who a verified certificate is for: its alternative names in their order, then its common names, at least its fingerprint. Pure. */
export function identityOfCertificate(
  certificate: Pick<PeerCertificate, "subjectaltname" | "fingerprint256"> & {
    readonly subject?: { readonly CN?: string | readonly string[] };
  },
): PeerIdentity {
  const { CN = [] } = certificate.subject ?? {};
  const commonNames = typeof CN === "string" ? [CN] : CN;
  const all = [...alternativeNames(certificate.subjectaltname ?? ""), ...commonNames];
  const names = [...new Set(all.filter((name) => name !== "" && !CONTROL.test(name)))];
  const [name = certificate.fingerprint256] = names;
  return { kind: "certificate", name, names: names.length === 0 ? [name] : names };
}

/** The names of the extension as Node writes it; none when it is not written as expected, so that nothing is misread. Pure. */
function alternativeNames(text: string): string[] {
  const names: string[] = [];
  ALTERNATIVE_NAME.lastIndex = 0;
  while (ALTERNATIVE_NAME.lastIndex < text.length) {
    const match = ALTERNATIVE_NAME.exec(text);
    if (match === null) return [];
    const [, type = "", value = ""] = match;
    if (NAME_TYPES.has(type)) names.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return names;
}
