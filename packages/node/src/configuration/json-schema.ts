import * as z from "zod";
import { configSchema } from "./schema.js";

/**
 * Returns a JSON Schema (draft 2020-12) of a configuration file, for editors: every key, and of values what such a schema can say.
 * `checkConfig` knows more, such as what contradicts what.
 */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties !== false) return;
      // Keys that begin with x- are the operator's own.
      jsonSchema.patternProperties = { "^x-": {} };
      const { properties = {}, required = [] } = jsonSchema;
      // An upstream has one URI or several.
      if ("uri" in properties && "uris" in properties) {
        jsonSchema.required = required.filter((key) => key !== "uri");
        jsonSchema.anyOf = [{ required: ["uri"] }, { required: ["uris"] }];
      }
      if (jsonSchema.required?.length === 0) delete jsonSchema.required;
    },
  });
  return { title: "Configuration of a Tributary node", ...withShortForms(schema) };
}

type Schema = z.core.JSONSchema.BaseSchema;

/** A section without content, which YAML takes for null, stands for one without settings. An upstream may be just its URI. */
function withShortForms(schema: Schema): Schema {
  const { properties, items } = schema;
  if (typeof items === "object" && !Array.isArray(items)) {
    const inner = withShortForms(items);
    const isUpstream = inner.properties !== undefined && "uris" in inner.properties;
    return { ...schema, items: isUpstream ? { anyOf: [{ type: "string" }, inner] } : inner };
  }
  if (properties === undefined) return schema;
  const entries = Object.entries(properties).map(([key, value]) => {
    if (typeof value === "boolean") return [key, value];
    const inner = withShortForms(value);
    const mayBeEmpty = inner.additionalProperties === false && inner.required === undefined;
    return [key, mayBeEmpty ? { ...inner, type: ["object", "null"] } : inner];
  });
  return { ...schema, properties: Object.fromEntries(entries) };
}
