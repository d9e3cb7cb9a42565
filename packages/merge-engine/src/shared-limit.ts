/** What an account uses of a limit, and what is reserved for it. */
export interface LimitShare {
  readonly used: number;
  /** What no other account can take. */
  readonly guaranteed: number;
}

/** How full a limit is. */
export interface LimitUse {
  readonly total: number;
  readonly used: number;
  /** By account, those that hold something or have a guarantee. */
  readonly accounts: ReadonlyMap<string, LimitShare>;
}

interface Account {
  used: number;
  guaranteed: number;
}

/**
 * A limit that several accounts fill. Each account can count on its guaranteed part; what is not guaranteed to anybody is a
 * common pool, first come, first served. An account that holds more than its part never takes from that of another. Pure.
 *
 * Accounts in use are sources of the directory and the registrations of the node itself, so there are few.
 */
export class SharedLimit {
  readonly total: number;
  readonly #accounts = new Map<string, Account>();
  #used = 0;
  #guaranteed = 0;
  /** What accounts hold beyond their guaranteed parts. */
  #pooled = 0;

  /** @param total in the unit that is counted; infinite: no limit. */
  constructor(total: number) {
    this.total = total;
  }

  /** Declares what each account can count on, instead of what was declared before; others have no guaranteed part. */
  guarantee(parts: ReadonlyMap<string, number>): void {
    for (const name of parts.keys()) this.#account(name);
    this.#guaranteed = 0;
    this.#pooled = 0;
    for (const [name, account] of this.#accounts) {
      account.guaranteed = parts.get(name) ?? 0;
      this.#guaranteed += account.guaranteed;
      this.#pooled += beyond(account, 0);
    }
    for (const [name, account] of this.#accounts) this.#forgetIfEmpty(name, account);
  }

  /** Returns how much more the account may take now. */
  room(name: string): number {
    const { used, guaranteed } = this.#accounts.get(name) ?? NOTHING;
    const pool = Math.max(0, this.total - this.#guaranteed - this.#pooled);
    const own = Math.max(0, guaranteed - used);
    return Math.max(0, Math.min(this.total - this.#used, own + pool));
  }

  /** Whether the account may take `amount` more. To stay as it is or to shrink needs no room. */
  fits(name: string, amount: number): boolean {
    return amount <= 0 || amount <= this.room(name);
  }

  /** Adds `amount`, which may be negative, to the account, whether or not there is room. */
  add(name: string, amount: number): void {
    if (amount === 0) return;
    const account = this.#account(name);
    this.#pooled += beyond(account, amount) - beyond(account, 0);
    account.used += amount;
    this.#used += amount;
    this.#forgetIfEmpty(name, account);
  }

  /** What an account holds. */
  used(name: string): number {
    return this.#accounts.get(name)?.used ?? 0;
  }

  /** Returns the limit, and what each account uses of it. */
  use(): LimitUse {
    return {
      total: this.total,
      used: this.#used,
      accounts: new Map([...this.#accounts].map(([n, a]) => [n, { ...a }])),
    };
  }

  #account(name: string): Account {
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    const account = { used: 0, guaranteed: 0 };
    this.#accounts.set(name, account);
    return account;
  }

  #forgetIfEmpty(name: string, { used, guaranteed }: Account): void {
    if (used === 0 && guaranteed === 0) this.#accounts.delete(name);
  }
}

const NOTHING: Account = { used: 0, guaranteed: 0 };

/** Returns what an account would take from the pool with `amount` more. */
function beyond({ used, guaranteed }: Account, amount: number): number {
  return Math.max(0, used + amount - guaranteed);
}
