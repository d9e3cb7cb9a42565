import type { JSX } from "preact";
import { visibleText } from "../data/format.ts";

/** A text of several lines as it is, with its control characters visible. What scrolls can be reached by keyboard. */
export function Preformatted({ label, text }: { readonly label: string; readonly text: string }): JSX.Element {
  const lines = text.split("\n").map(visibleText).join("\n");
  return (
    <section aria-label={label}>
      <p class="small muted" aria-hidden="true">
        {label}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keyboard. */}
      <pre tabIndex={0}>{lines}</pre>
    </section>
  );
}
