import type { Attribute, Link } from "@tributary/link-model";

/** Value of an attribute: text, true when it has no value, a list when it is repeated. */
export type AttributeValue = string | true | readonly (string | true)[];

/** A link in JSON output. */
export interface LinkJson {
  readonly target: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** Converts attributes to an object, in the form of the feed (design section 3). Pure. */
export function attributesToObject(attributes: readonly Attribute[]): Record<string, AttributeValue> {
  const members = new Map<string, (string | true)[]>();
  for (const [name, value] of attributes) {
    const values = members.get(name);
    if (values === undefined) members.set(name, [value ?? true]);
    else values.push(value ?? true);
  }
  return Object.fromEntries(
    [...members].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? true) : values]),
  );
}

/** Converts a link to its JSON form. Pure. */
export function linkToJson({ target, attributes }: Link): LinkJson {
  return { target, attributes: attributesToObject(attributes) };
}
