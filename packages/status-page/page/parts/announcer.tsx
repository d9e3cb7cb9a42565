import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { LiveState } from "../data/live.ts";

/** Tells screen readers when an upstream changes its phase, and when the node becomes ready or is not. Numbers are not read out. */
export function Announcer({ state }: { readonly state: LiveState }): JSX.Element {
  const before = useRef<ReadonlyMap<string, string> | null>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    if (state.reading === null) return;
    const now = new Map(state.reading.upstreams.map(({ name, phase }) => [name, phase]));
    now.set("this node", state.isReady ? "ready" : "not ready");
    const earlier = before.current;
    before.current = now;
    if (earlier === null) return;
    const changes = [...now].filter(([name, phase]) => earlier.get(name) !== phase);
    if (changes.length > 0) setText(changes.map(([name, phase]) => `${name} is ${phase}`).join(", "));
  }, [state.reading, state.isReady]);
  return (
    <div class="unseen" role="status" aria-live="polite">
      {text}
    </div>
  );
}
