import type { Attribute, Link } from "@tributary/link-model";

/** Text; a list when the attribute is repeated; true when it has no value. */
export type AttributeValue = string | true | readonly (string | true)[];

/** A link as the JSON outputs show it. */
export interface LinkJson {
  readonly target: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** Attributes as members of an object, in the form of the feed (design section 3). Pure. */
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

/** A link for JSON. Pure. */
export function linkToJson({ target, attributes }: Link): LinkJson {
  return { target, attributes: attributesToObject(attributes) };
}
