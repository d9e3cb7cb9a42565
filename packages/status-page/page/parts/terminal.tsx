import type { JSX } from "preact";
import { Preformatted } from "./preformatted.tsx";

interface TerminalProps {
  /** Path and query, relative to the page. */
  readonly target: string;
  readonly path: string;
  readonly search: string;
  /** Media type of a lookup; null: it is no lookup. */
  readonly type: string | null;
  readonly listen: readonly string[];
}

/** The same request for a terminal, over HTTP and over CoAP. */
export function Terminal({ target, path, search, type, listen }: TerminalProps): JSX.Element {
  const accept = type === null ? "" : `-H ${quoted(`Accept: ${type}`)} `;
  const commands = [`curl -i ${accept}${quoted(new URL(target, document.baseURI).href)}`];
  const [coap] = listen;
  if (type !== null && coap !== undefined) {
    const criteria = search.split("&").filter((item) => item !== "");
    const words = [
      "tributary",
      "lookup",
      path.replace("rd-lookup/", ""),
      ...criteria.map((item) => quoted(decoded(item))),
    ];
    commands.push(`${words.join(" ")} --at ${quoted(coap)}`, `coap-client -m get ${quoted(`${coap}/${target}`)}`);
  }
  return (
    <details>
      <summary>The same in a terminal</summary>
      <Preformatted label="Commands" text={commands.join("\n")} />
    </details>
  );
}

/** A word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
