/** Lends memory for what is staged. */
export interface StagingMemory {
  /** False: there is not so much. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}
