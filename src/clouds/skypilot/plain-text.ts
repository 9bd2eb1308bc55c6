// biome-ignore lint/suspicious/noControlCharactersInRegex: colours and cursor moves begin with one.
const ansi = /\u001b\[[0-9;?]*[A-Za-z]/g
const markup = /\[\/?[^\][]*\]/g
// Written behind every step, for people at a terminal of SkyPilot's own.
const hint = /\s+View logs: .*$/

/** A line as a person reads it, without colours. */
export const withoutColours = (text: string): string => text.replace(ansi, '').trimEnd()

/** A step of SkyPilot's spinner: without colours, markup and the hint behind it. */
export const stepText = (text: string): string => text.replace(ansi, '').replace(markup, '').replace(hint, '').trim()
