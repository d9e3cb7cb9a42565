/** How a proxy uses an upstream, as operators configure it; `filters` is mode `replicate` with filters. */
export const MODES = ["replicate", "filters", "auto", "forward"] as const;
export type Mode = (typeof MODES)[number];

/** Whether an upstream speaks the feed and knows Hop-Limit, `provenance` and `lt-age`, or is any other RFC 9176 RD. */
export const UPSTREAM_KINDS = ["Tributary", "plain"] as const;
export type UpstreamKind = (typeof UPSTREAM_KINDS)[number];

/** What a mode promises about lookups that it answers from a copy, or by asking. */
export interface Promises {
  /** Requests that one lookup costs the upstream, at most: of an endpoint lookup, and of a resource lookup. */
  readonly requests: { readonly ep: number; readonly res: number };
  /** After a move between two RDs both interfaces show one registration alone; `newest`: the one renewed last. */
  readonly duplicates: "newest" | "newest, if the other RD tells ages";
  /** A change at the upstream is shown after so many seconds at most. */
  readonly freshS: number;
  /** Part of the answer while the upstream cannot be reached. */
  readonly whenLost: "its copy" | "what is copied of it, and the answer says so";
}

/** How lookups are answered: from what is copied, or by asking. */
export type AnswerKind = "copied" | "asked";

const COPIED: Promises = { requests: { ep: 0, res: 0 }, duplicates: "newest", freshS: 1, whenLost: "its copy" };
const POLLED: Promises = { ...COPIED, freshS: 40 };
const ASKED: Promises = {
  requests: { ep: 1, res: 2 },
  duplicates: "newest",
  freshS: 60,
  whenLost: "what is copied of it, and the answer says so",
};
const ASKED_PLAIN: Promises = { ...ASKED, duplicates: "newest, if the other RD tells ages" };

/** Which of the two a lookup gets. Of an RD without the feed all is copied or nothing, whatever the filters are. */
export const ANSWERED: Readonly<Record<Mode, string>> = {
  replicate: "every lookup from the copy",
  filters: "lookups that a filter covers from the copy, others by asking",
  auto: "lookups of a frequent family from the copy, others by asking",
  forward: "every lookup by asking, or from what was answered before",
};

/** One table for tests and documents. It holds for co-hosted proxies and others alike, and over UDP and TCP alike. */
export const PROMISES: Readonly<Record<UpstreamKind, Readonly<Record<AnswerKind, Promises>>>> = {
  Tributary: { copied: COPIED, asked: ASKED },
  plain: { copied: POLLED, asked: ASKED_PLAIN },
};

/** What holds in every mode and for every upstream. */
export const COMMON_PROMISES = {
  "registered here":
    "Hop-Limit 1, and `href` or `provenance` with a path (`href=/*`, `provenance=/*`, `href=/reg/42`): the node's own registrations, " +
    "also those that are superseded elsewhere, and no request to anybody",
  loops: "none: a proxy asks Tributary RDs for their own registrations only, and drops what other RDs show of others",
} as const;
