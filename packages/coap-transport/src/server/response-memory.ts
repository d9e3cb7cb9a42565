import type { AnswerLife } from "../types.js";

export interface AnswerMemoryOptions {
  /** Answers kept; 0: none. */
  readonly maxEntries: number;
  /** Memory for them, bytes, roughly. */
  readonly maxBytes: number;
}

/** An answer as it went out, from its code and what follows the token. */
export interface RememberedAnswer {
  readonly code: number;
  /** Options and payload. */
  readonly bytes: Uint8Array;
  readonly life: AnswerLife;
  /** It was given since it was last passed over. */
  wasGiven: boolean;
}

/** What an entry takes besides its bytes. */
const ENTRY_BYTES = 300;

/**
 * Answers that would be given again, by the bytes of their requests behind the token (RFC 7252 section 5.6: everything that can
 * make a difference is in there). What is asked for once is not kept; of what is kept, what was not asked for again goes first.
 */
export class AnswerMemory {
  readonly #options: AnswerMemoryOptions;
  readonly #answers = new Map<string, RememberedAnswer>();
  /** Requests seen lately, and those before them: asked twice within these, an answer is kept. */
  #recent = new Set<string>();
  #earlier = new Set<string>();
  #bytes = 0;

  constructor(options: AnswerMemoryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#answers.size;
  }

  /** The answer to the request behind this key, if it still holds. */
  get(key: string): RememberedAnswer | undefined {
    const answer = this.#answers.get(key);
    if (answer === undefined) return undefined;
    if (answer.life.isOver) {
      this.#drop(key, answer);
      return undefined;
    }
    if (!answer.life.holds()) return undefined;
    answer.wasGiven = true;
    return answer;
  }

  /** Whether an answer to this request is worth to be kept; each call counts as asking for it. */
  isWanted(key: string): boolean {
    if (this.#options.maxEntries === 0) return false;
    if (this.#recent.has(key) || this.#earlier.has(key)) return true;
    this.#recent.add(key);
    if (this.#recent.size < this.#options.maxEntries) return false;
    this.#earlier = this.#recent;
    this.#recent = new Set();
    return false;
  }

  keep(key: string, code: number, bytes: Uint8Array, life: AnswerLife): void {
    const known = this.#answers.get(key);
    if (known !== undefined) this.#drop(key, known);
    // A copy of its own: the datagram that it is part of is larger.
    this.#answers.set(key, { code, bytes: bytes.slice(), life, wasGiven: false });
    this.#bytes += weightOf(key, bytes);
    while (this.#answers.size > this.#options.maxEntries || this.#bytes > this.#options.maxBytes) this.#makeRoom();
  }

  clear(): void {
    for (const [key, answer] of [...this.#answers]) this.#drop(key, answer);
    this.#recent.clear();
    this.#earlier.clear();
  }

  #makeRoom(): void {
    for (const [key, answer] of this.#answers) {
      if (!answer.wasGiven || answer.life.isOver) {
        this.#drop(key, answer);
        return;
      }
      answer.wasGiven = false;
      this.#answers.delete(key);
      this.#answers.set(key, answer);
    }
  }

  #drop(key: string, answer: RememberedAnswer): void {
    this.#answers.delete(key);
    this.#bytes -= weightOf(key, answer.bytes);
    answer.life.end();
  }
}

function weightOf(key: string, bytes: Uint8Array): number {
  return key.length + bytes.length + ENTRY_BYTES;
}
