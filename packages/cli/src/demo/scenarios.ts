import { UsageError } from "../command-io.js";
import { distinctRegistrationPoints } from "./distinct-registration-points.js";
import { globalLookup } from "./global-lookup.js";
import { localizedQueries } from "./localized-queries.js";
import { plainCaching } from "./plain-caching.js";
import { rdAwareCaching } from "./rd-aware-caching.js";
import type { DemoScenario } from "./scenario.js";
import { sharedAddress } from "./shared-address.js";
import { sharedAuthority } from "./shared-authority.js";
import { tiers } from "./tiers.js";

/** Every scenario, by section of the draft. */
export const SCENARIOS: readonly DemoScenario[] = [
  plainCaching,
  rdAwareCaching,
  sharedAuthority,
  distinctRegistrationPoints,
  localizedQueries,
  sharedAddress,
  globalLookup,
  tiers,
];

/** Returns the scenario of that name; without a name, that of section 6.2. @throws {UsageError} */
export function findScenario(name: string | undefined): DemoScenario {
  if (name === undefined) return distinctRegistrationPoints;
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  const names = SCENARIOS.map((scenario) => scenario.name).join(", ");
  throw new UsageError(`there is no scenario ${name}; choose one of ${names}`);
}
