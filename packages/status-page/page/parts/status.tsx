import type { ComponentChildren, JSX } from "preact";

/** How well something is; each has a shape of its own besides its colour. */
export type StatusKind = "good" | "warn" | "bad" | "idle";

const SHAPES: Readonly<Record<StatusKind, JSX.Element>> = {
  good: <circle cx="6" cy="6" r="5" />,
  warn: <path d="M6 1 11.5 11H.5z" />,
  bad: <path d="M1 1h10v10H1z" />,
  idle: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="2" />,
};

/** A state in words, with its shape and colour. */
export function Status({
  kind,
  children,
}: {
  readonly kind: StatusKind;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <span class={`status ${kind}`}>
      <svg viewBox="0 0 12 12" width="10" height="10" fill="currentColor" aria-hidden="true">
        {SHAPES[kind]}
      </svg>
      {children}
    </span>
  );
}

/** How well an upstream in this phase is. Pure. */
export function kindOfPhase(phase: string): StatusKind {
  if (phase === "live") return "good";
  if (phase === "stale") return "warn";
  return phase === "missing" || phase === "refused" ? "bad" : "idle";
}
