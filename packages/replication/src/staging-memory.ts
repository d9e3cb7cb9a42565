/** Lends memory for what is staged. */
export interface StagingMemory {
  /** False: there is not so much. */
  take(bytes: number): boolean;
  /** Returns bytes that were taken. */
  give(bytes: number): void;
}
