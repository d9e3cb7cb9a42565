/** Character classes of RFC 6690 section 2 (ABNF) and RFC 8187. Pure tables over ASCII. */

function asciiTable(accept: (character: string) => boolean): Uint8Array {
  const table = new Uint8Array(128);
  for (let code = 0; code < 128; code++) table[code] = accept(String.fromCharCode(code)) ? 1 : 0;
  return table;
}

const NAME = asciiTable((character) => /[A-Za-z0-9!#$&+.^_`|~-]/.test(character));
/** ptokenchar of RFC 6690. */
const TOKEN = asciiTable((character) => /[A-Za-z0-9!#$%&'()*+./:<=>?@[\]^_`{|}~-]/.test(character));

/** Whether a character may be part of a name (parmname: RFC 5987 attr-char). */
export function isNameCharacter(code: number): boolean {
  return code < 128 && NAME[code] === 1;
}

/** Whether a character may be part of an unquoted value. */
export function isTokenCharacter(code: number): boolean {
  return code < 128 && TOKEN[code] === 1;
}

/** Whether a character is a blank that readers accept between tokens: SP, HTAB, CR, LF. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

/** Characters that a quoted string cannot contain, escaped or not: controls other than HTAB. */
export function isForbiddenInQuotes(code: number): boolean {
  return (code < 0x20 && code !== 0x09) || code === 0x7f;
}

/** Characters that a URI reference between `<` and `>` cannot contain. */
export function isForbiddenInTarget(code: number): boolean {
  return code <= 0x20 || code === 0x7f || code === 0x22 || code === 0x3c || code === 0x3e;
}
