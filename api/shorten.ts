const ELLIPSIS = '…';
const ELLIPSIS_BYTES = 3;

/**
 * The longest beginning, with an ellipsis, that keeps to a number of bytes (three at least) and cuts no character in two; a text that keeps to it
 * anyhow stays as it is. Workflows use it, too, so it needs nothing of Node's.
 */
export function shorten(text: string, mostBytes: number): string {
  let bytes = 0;
  let kept = 0;
  for (const character of text) {
    bytes += bytesOf(character);
    if (bytes > mostBytes) return `${text.slice(0, kept)}${ELLIPSIS}`;
    if (bytes <= mostBytes - ELLIPSIS_BYTES) kept += character.length;
  }
  return text;
}

/** In UTF-8; half of a pair is written as the replacement character, three bytes. */
function bytesOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x1_0000 ? 3 : 4;
}
