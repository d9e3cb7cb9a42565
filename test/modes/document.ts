import { ANSWERED, COMMON_PROMISES, MODES, PROMISES, type Promises, UPSTREAM_KINDS } from "./promises.ts";

const row = (...cells: string[]): string => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(...head), row(...head.map(() => "---")), ...rows.map((cells) => row(...cells))].join("\n");

function cells({ requests, duplicates, freshS, whenLost }: Promises): string[] {
  const cost =
    requests.res === 0 ? "none" : `${requests.ep} for an endpoint lookup, ${requests.res} for a resource lookup`;
  return [cost, duplicates, `${freshS} s`, whenLost];
}

/** The text of docs/modes.md. Pure. */
export function modesDocument(): string {
  const promises = UPSTREAM_KINDS.flatMap((kind) =>
    (["copied", "asked"] as const).map((answered) => [kind, answered, ...cells(PROMISES[kind][answered])]),
  );
  return `# What each mode promises

Generated from \`test/modes/promises.ts\` by \`npm run conformance\`. \`test/modes/matrix.test.ts\` tries every promise in every mode, with
a proxy that is an RD as well (co-hosted) and one that is not, over Tributary and plain RDs, over UDP and TCP. What the modes are for
is said in [Caching](caching.md).

## In every mode

${table(["what", "promise"], Object.entries(COMMON_PROMISES))}

## How lookups are answered

${table(
  ["mode", "answers"],
  MODES.map((mode) => [`\`${mode}\``, ANSWERED[mode]]),
)}

\`filters\` is \`mode: replicate\` with \`filters\`. A lookup with several upstreams takes each part as the mode of that upstream says.

## What is promised about them

${table(["upstream", "part is", "requests that it costs", "shown of an endpoint that moved", "shown at most after", "when it is lost"], promises)}

- **Plain**: any RFC 9176 RD without the [feed](protocol.md). What is copied of it is polled or observed; the time is for \`poll: 20s\`.
- **Requests**: a resource lookup asks the endpoint lookup as well where links of one endpoint may come from several places, and only
  the resource lookup where not. What was asked before is answered out of the cache. A \`count\` that turns out too small, because part
  of it is superseded, costs the same once more.
- **Ages**: an RD that is asked gives them in whole seconds, so of two registrations within a second either may be shown.
- **Whose link it is** a plain RD that is asked tells by the base, where no other endpoint has it. Links that cannot be attributed are
  shown ([details](caching.md#endpoints-that-move-outside-replicate)).
- **A newer registration that does not match the lookup** and that the proxy holds no copy of is not seen, and the older one is shown.
- **When an upstream is lost**, an answer that misses some of it has a Max-Age of 5 s and counts as partial, or is 5.04 with
  \`on-partial: fail\`. Copies are shown until lifetimes end.
`;
}
