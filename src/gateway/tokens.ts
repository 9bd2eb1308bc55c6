/** Tokens as the engine counted them. */
export interface Tokens {
  readonly prompt: number
  readonly completion: number
}

/** The `usage` object of an answer, or null when it is none. */
export function tokensOf(usage: unknown): Tokens | null {
  if (usage === null || typeof usage !== 'object') return null
  const { prompt_tokens: prompt, completion_tokens: completion } = usage as Record<string, unknown>
  if (!isCount(prompt)) return null
  // Embeddings have no completion.
  return { prompt, completion: isCount(completion) ? completion : 0 }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Longer than any `usage` object with its details. */
const usageBytes = 1_024

/** Engines write `usage` behind the choices; this much of a plain answer's end is looked at. */
export const tailBytes = 8_192

const member = /^"usage"\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/

/** The usage in the last bytes of a plain answer. Quotes within strings are escaped, so the name is found as a name only. */
export function tokensInTail(tail: Buffer): Tokens | null {
  return tokensInText(tail.toString('latin1'))
}

/** As `tokensInTail`, of text with one character for each byte. */
export function tokensInText(text: string): Tokens | null {
  const at = text.lastIndexOf('"usage"')
  if (at < 0) return null
  const found = member.exec(text.slice(at, at + usageBytes))
  if (!found?.[1]) return null
  try {
    return tokensOf(JSON.parse(found[1]))
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
