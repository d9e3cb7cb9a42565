import { useEffect, useState } from "preact/hooks";
import { reasonOf } from "./fetch-json.ts";

/** What is being read or was read. */
export interface Fetched<T> {
  /** The last that was read; null: nothing yet. */
  readonly value: T | null;
  readonly error: string | null;
  readonly isLoading: boolean;
  readonly reload: () => void;
}

/** Reads something again whenever `key` changes; what is under way then is broken off. */
export function useFetched<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Fetched<T> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<Omit<Fetched<T>, "reload">>({ value: null, error: null, isLoading: true });
  // `load` is another function at each rendering; the key stands for it.
  useEffect(() => {
    const controller = new AbortController();
    setState(({ value }) => ({ value, error: null, isLoading: true }));
    load(controller.signal).then(
      (value) => controller.signal.aborted || setState({ value, error: null, isLoading: false }),
      (error: unknown) =>
        controller.signal.aborted || setState({ value: null, error: reasonOf(error), isLoading: false }),
    );
    return () => controller.abort();
  }, [key, round]);
  return { ...state, reload: () => setRound(round + 1) };
}
