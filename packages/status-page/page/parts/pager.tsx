import type { ComponentChildren, JSX } from "preact";

interface PagerProps {
  readonly first: string | null;
  readonly previous: string | null;
  readonly next: string | null;
  readonly children: ComponentChildren;
}

/** Links to neighbouring pages of results, and which one this is. */
export function Pager({ first, previous, next, children }: PagerProps): JSX.Element {
  const entries = [
    ["First", first],
    ["Previous", previous],
    ["Next", next],
  ] as const;
  return (
    <nav class="pager" aria-label="Pages of results">
      <span class="muted" role="status">
        {children}
      </span>
      {entries.map(([title, href]) =>
        href === null ? null : (
          <a key={title} class="button" href={href}>
            {title}
          </a>
        ),
      )}
    </nav>
  );
}
