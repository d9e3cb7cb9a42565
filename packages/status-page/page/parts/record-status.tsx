import type { JSX } from "preact";
import type { RegistrationView } from "../data/types.ts";
import { Status } from "./status.tsx";

/** Whether a registration is shown, and whether its RD is reached. */
export function RecordStatus({ state, stale }: Pick<RegistrationView, "state" | "stale">): JSX.Element {
  if (state === "superseded") return <Status kind="idle">{stale ? "hidden, stale" : "hidden"}</Status>;
  return stale ? <Status kind="warn">shown, stale</Status> : <Status kind="good">shown</Status>;
}
