/** Attributes whose value is a list of relation types separated by blanks; each is matched separately (RFC 9176 section 6.2). */
export const RELATION_ATTRIBUTES: ReadonlySet<string> = new Set(["rt", "if", "rel", "rev"]);
/** Links read in one step of a long document: about 0.1 ms. */
export const LINKS_PER_STEP = 64;
/** Characters read in one step of a long document, unless a link is longer. */
export const CHARACTERS_PER_STEP = 16_384;
/** Bytes decoded in one step of a long document. */
export const BYTES_PER_STEP = 1_048_576;
/** Bytes of a document that are read as one piece of text. */
export const BYTES_PER_PIECE = 131_072;
/** Longest link that the tolerant reader accepts, characters: twice the default size of a registration. */
export const MAX_LINK_LENGTH = 131_072;
/** Problems reported by one tolerant read. */
export const MAX_PROBLEMS = 16;
/** Criteria accepted in one lookup query. */
export const MAX_QUERY_ITEMS = 64;
/** Bytes of one Uri-Query option (RFC 7252 section 5.10); a text has no more UTF-16 units than UTF-8 bytes. */
export const MAX_QUERY_ITEM_LENGTH = 255;
