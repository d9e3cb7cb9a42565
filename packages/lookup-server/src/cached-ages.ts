import type { Attribute, Link } from "@tributary/link-model";
import { LT_AGE } from "@tributary/merge-engine";
import { inSteps } from "./in-steps.js";

/**
 * Links as they are after so many seconds in a cache: their lifetime ages (draft 5.2) have grown, and nothing else has changed.
 * Yields between small steps. Pure.
 */
export function* withTimePassed(links: readonly Link[], seconds: number): Generator<void, readonly Link[]> {
  const passed = Math.floor(seconds);
  if (passed < 1) return links;
  return yield* inSteps(links, (link) => {
    const { target, attributes } = link;
    if (!attributes.some(isAge)) return link;
    return {
      target,
      attributes: attributes.map((attribute): Attribute => {
        const age = isAge(attribute) ? Number(attribute[1]) : Number.NaN;
        return Number.isInteger(age) ? [LT_AGE, String(age + passed)] : attribute;
      }),
    };
  });
}

function isAge([name, value]: Attribute): boolean {
  return name === LT_AGE && value !== null;
}
