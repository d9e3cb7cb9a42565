/**
 * Hop-Limit (RFC 8768) of a lookup that a proxy sends to an RD: answer with what is registered at this node and ask nobody.
 * Elective and safe to forward: a server that does not know it answers as ever.
 */
export const HERE_ONLY_HOP_LIMIT = 1;

/**
 * Hop-Limit of a lookup that a proxy sends to a proxy that it follows as a tier: answer with all that is known, and ask RDs,
 * but no further proxy. Proxies that follow each other would ask each other without end.
 */
export const TIER_HOP_LIMIT = 2;
