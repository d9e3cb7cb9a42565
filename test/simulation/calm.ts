import type { Deed, NodePlan } from "./scenario.ts";

/** Since when nothing has disturbed the way between an LP and each of the RDs that it follows; never while it is disturbed. */
export class Calm {
  readonly #nodes: readonly NodePlan[];
  /** By pair: since when the network between them has been in order; infinite: it is not. */
  readonly #network = new Map<string, number>();
  /** By node: since when it has been up; infinite: it is not. */
  readonly #up = new Map<string, number>();

  constructor(nodes: readonly NodePlan[]) {
    this.#nodes = nodes;
  }

  note(deed: Deed, nowMs: number): void {
    switch (deed.kind) {
      case "weather":
        this.#disturb(() => true);
        return;
      case "partition":
        this.#disturb((rd, lp) => !deed.sides.some((side) => side.includes(rd) && side.includes(lp)));
        return;
      case "cut":
      case "slow":
        this.#disturb((rd, lp) => [rd, lp].includes(deed.from) && [rd, lp].includes(deed.to));
        return;
      case "heal":
        for (const [pair, sinceMs] of this.#network) {
          if (sinceMs === Number.POSITIVE_INFINITY) this.#network.set(pair, nowMs);
        }
        return;
      case "crash":
        this.#up.set(deed.node, Number.POSITIVE_INFINITY);
        return;
      case "start":
        if (this.#up.get(deed.node) === Number.POSITIVE_INFINITY) this.#up.set(deed.node, nowMs);
        return;
      default:
    }
  }

  /** RDs that `lp` has been able to follow undisturbed from `sinceMs` on. */
  undisturbed(lp: NodePlan, sinceMs: number): string[] {
    const isUp = (node: string) => (this.#up.get(node) ?? 0) <= sinceMs;
    if (!isUp(lp.name)) return [];
    return (lp.upstreams ?? []).filter((rd) => isUp(rd) && (this.#network.get(`${rd} ${lp.name}`) ?? 0) <= sinceMs);
  }

  #disturb(isConcerned: (rd: string, lp: string) => boolean): void {
    for (const [rd, lp] of this.#pairs()) {
      if (isConcerned(rd, lp)) this.#network.set(`${rd} ${lp}`, Number.POSITIVE_INFINITY);
    }
  }

  *#pairs(): Generator<[rd: string, lp: string]> {
    for (const { name, upstreams } of this.#nodes) for (const rd of upstreams ?? []) yield [rd, name];
  }
}
