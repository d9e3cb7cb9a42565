import type { Attribute, Link } from "@tributary/link-model";
import { inSteps } from "./union.js";

const AGE = "lt-age";

/**
 * Links that have lain in a cache for so many seconds: their lifetime ages (draft 5.2) have grown meanwhile, unlike all else.
 * Yields between small steps. Pure.
 */
export function* withTimePassed(links: readonly Link[], seconds: number): Generator<void, readonly Link[]> {
  const passed = Math.floor(seconds);
  if (passed < 1 || !links.some(({ attributes }) => attributes.some(isAge))) return links;
  return yield* inSteps(links, ({ target, attributes }) => ({
    target,
    attributes: attributes.map((attribute): Attribute => {
      const age = isAge(attribute) ? Number(attribute[1]) : Number.NaN;
      return Number.isInteger(age) ? [AGE, String(age + passed)] : attribute;
    }),
  }));
}

function isAge([name, value]: Attribute): boolean {
  return name === AGE && value !== null;
}
