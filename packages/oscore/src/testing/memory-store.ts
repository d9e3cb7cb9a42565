import type { ContextState, StateStore } from "../context/sequence-numbers.js";

/** State that outlives the context, and how often it was saved. */
export class MemoryStore implements StateStore {
  state: ContextState | undefined;
  saves = 0;

  constructor(state?: ContextState) {
    this.state = state;
  }

  load(): ContextState | undefined {
    return this.state;
  }

  save(state: ContextState): void {
    this.saves++;
    this.state = state;
  }

  async saveLater(state: ContextState): Promise<void> {
    this.save(state);
  }

  close(): void {}
}
