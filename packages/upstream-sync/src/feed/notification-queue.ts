import type { FeedKind } from "@tributary/replication";

/** What the queue needs to know of a notification. */
export interface QueuedNotification {
  readonly kind: FeedKind;
  readonly member: number;
  readonly response: { readonly payload: Uint8Array };
}

/** Bounds for each feed: a notification is refused when both are reached. */
export interface NotificationQueueLimits {
  readonly maxNotifications: number;
  readonly maxBytes: number;
}

/** Memory that a notification takes besides its payload, bytes: one without a payload costs something, too. */
const NOTIFICATION_BYTES = 512;

/** Notifications of the feeds of an RD that wait to be applied, in the order of arrival. No feed takes the room of another. */
export class NotificationQueue<T extends QueuedNotification> {
  readonly #limits: NotificationQueueLimits;
  readonly #queue: T[] = [];
  readonly #byFeed = new Map<string, { count: number; bytes: number }>();

  constructor(limits: NotificationQueueLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Puts a notification at the end; false when its feed has no room. */
  add(notification: T): boolean {
    const { count, bytes } = this.#byFeed.get(keyOf(notification)) ?? { count: 0, bytes: 0 };
    if (count >= this.#limits.maxNotifications && bytes >= this.#limits.maxBytes) return false;
    this.#queue.push(notification);
    this.#count(notification, 1);
    return true;
  }

  /** Puts a notification that has waited elsewhere in front of all others. */
  addFirst(notification: T): void {
    this.#queue.unshift(notification);
    this.#count(notification, 1);
  }

  /** Removes and returns the first notification. */
  take(): T | undefined {
    const first = this.#queue.shift();
    if (first !== undefined) this.#count(first, -1);
    return first;
  }

  clear(): void {
    this.#queue.length = 0;
    this.#byFeed.clear();
  }

  #count(notification: T, sign: 1 | -1): void {
    const key = keyOf(notification);
    const { count, bytes } = this.#byFeed.get(key) ?? { count: 0, bytes: 0 };
    const weight = notification.response.payload.length + NOTIFICATION_BYTES;
    this.#byFeed.set(key, { count: count + sign, bytes: bytes + sign * weight });
  }
}

function keyOf({ kind, member }: QueuedNotification): string {
  return `${kind} ${member}`;
}
