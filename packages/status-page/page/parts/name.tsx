import type { JSX } from "preact";
import { visibleText } from "../data/format.ts";

/** A text that a device chose. It cannot change the direction of what stands beside it, and its control characters show. */
export function Name({ text }: { readonly text: string }): JSX.Element {
  return <bdi>{visibleText(text)}</bdi>;
}

/** The name of an endpoint with its sector. */
export function EndpointName({ ep, d }: { readonly ep: string; readonly d?: string | undefined }): JSX.Element {
  return (
    <>
      <Name text={ep} />
      {d === undefined ? null : (
        <span class="muted">
          {" "}
          in <Name text={d} />
        </span>
      )}
    </>
  );
}

/** A URI: shown, not linked to, as browsers do not speak CoAP. */
export function Uri({ text }: { readonly text: string }): JSX.Element {
  return (
    <code class="uri">
      <Name text={text} />
    </code>
  );
}
