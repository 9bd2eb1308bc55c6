import { stripVTControlCharacters } from 'node:util'

// What a terminal acts on: controls, and the marks that turn the direction of writing around.
// biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is looked for.
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const invisible = /^[\p{M}\u200b-\u200d]$/u

/** Text of others on one line: whatever a terminal would act on is gone, so that a log cannot take the screen over. */
export function plainLine(text: string): string {
  return plainBlock(text).replace(/[\n\t]+/g, ' ')
}

/** As `plainLine`, but keeps the lines apart. */
export function plainBlock(text: string): string {
  return stripVTControlCharacters(text.replaceAll('\r\n', '\n')).replace(controls, '')
}

/** Columns that the text takes on a terminal: Asian letters and emoji take two, combining marks none. */
export function widthOf(text: string): number {
  let width = 0
  for (const char of text) width += invisible.test(char) ? 0 : wide.test(char) ? 2 : 1
  return width
}

/** The text within `columns`; what was cut shows as an ellipsis. */
export function cut(text: string, columns: number, ellipsis = '~'): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 0
  for (const char of text) {
    width += widthOf(char)
    if (width > columns - 1) break
    kept += char
  }
  return columns < 1 ? '' : kept + ellipsis
}

export const padEnd = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - widthOf(text)))
export const padStart = (text: string, columns: number): string =>
  ' '.repeat(Math.max(0, columns - widthOf(text))) + text
