import { count } from './counts.ts'

// What acts on a terminal, turns the direction of writing around, or cannot be seen at all.
const unseen =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is looked for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

// A line of a log is told within 4,096 characters; whatever is longer came from a newer server, or is no log.
const longestLine = 4_096
/** The most that the API tells of what was said, over several lines. */
export const longestEvidence = 8_000

/** Text of others as it is: escape codes are written out and do nothing, and no text is endless. */
export function plainText(text: string, longest = longestLine): string {
  const more = text.length - longest
  const shown = (more > 0 ? text.slice(0, longest) : text).replace(unseen, written)
  return more > 0 ? `${shown} … and ${count(more)} more characters` : shown
}

/** `\x1b` for an escape, `<U+202E>` for a mark: signs of their own are not in every font. */
function written(char: string): string {
  const code = char.charCodeAt(0)
  const hex = code.toString(16)
  return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `<U+${hex.toUpperCase().padStart(4, '0')}>`
}
