/** What is wrong with an entry of an upstream, so that it is left out. */
export type EntryFault =
  /** It is not what the format says. */
  | "malformed"
  | "no-name"
  | "no-base"
  /** It is registered elsewhere. */
  | "other-authority"
  /** Its links say nothing without knowing where they came from. */
  | "relative-target"
  /** It is larger than a registration may be. */
  | "beyond-limits";
