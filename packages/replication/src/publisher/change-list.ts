/** What the log keeps about one registration. Versions are counters of the history. */
export interface LogNode {
  readonly href: string;
  /** Counter at which the registration appeared. */
  created: number;
  /** Counter of the latest change of its endpoint record, its links, and its age. */
  ep: number;
  res: number;
  renewed: number;
  isRemoved: boolean;
  /** It was removed and appeared again, so `created` says nothing about who holds it. */
  cameBack: boolean;
}

export type LogField = "ep" | "res" | "renewed";

const COMPACTION_SLACK = 64;

/**
 * Nodes in the order of one of their counters. Moving a node to the end is O(1) amortised: the old place becomes a hole
 * (its counter no longer agrees with the node's) and holes are squeezed out when they outnumber the rest.
 */
export class ChangeList {
  readonly #field: LogField;
  #counters: number[] = [];
  #nodes: LogNode[] = [];
  #live = 0;

  constructor(field: LogField) {
    this.#field = field;
  }

  /** Put `node` at the end at `counter`, which must be larger than any before. */
  append(node: LogNode, counter: number): void {
    if (node[this.#field] === 0) this.#live++;
    node[this.#field] = counter;
    this.#counters.push(counter);
    this.#nodes.push(node);
    if (this.#nodes.length > 2 * this.#live + COMPACTION_SLACK) this.#compact();
  }

  /** Forget `node`. */
  drop(node: LogNode): void {
    if (node[this.#field] === 0) return;
    node[this.#field] = 0;
    this.#live--;
  }

  /** Index of the first place whose counter is larger than `counter`. O(log n). */
  indexAfter(counter: number): number {
    let low = 0;
    let high = this.#counters.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#counters[middle] as number) <= counter) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The node at a place, undefined at a hole. */
  nodeAt(index: number): LogNode | undefined {
    const node = this.#nodes[index];
    return node !== undefined && node[this.#field] === this.#counters[index] ? node : undefined;
  }

  counterAt(index: number): number {
    return this.#counters[index] ?? Number.POSITIVE_INFINITY;
  }

  get length(): number {
    return this.#nodes.length;
  }

  #compact(): void {
    const counters: number[] = [];
    const nodes: LogNode[] = [];
    for (let index = 0; index < this.#nodes.length; index++) {
      const node = this.nodeAt(index);
      if (node === undefined) continue;
      nodes.push(node);
      counters.push(this.#counters[index] as number);
    }
    this.#nodes = nodes;
    this.#counters = counters;
  }
}
