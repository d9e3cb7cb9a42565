/** Whether an If-None-Match field has the entity tag (RFC 9110 section 13.1.2, with weak comparison). Pure. */
export function isHeld(field = "", tag: string): boolean {
  return field.split(",").some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === tag);
}
