// The playground: one conversation with a model, streamed through the gateway as every client's is, with what it took.
// Deliberately absent: a way around the gateway, an API key, and a place where conversations are kept.
import type { FailureRecord } from '../../src/core/failure.ts'

/** What came of one question so far. Times are since it was sent. */
export interface Answer {
  readonly state: 'waiting' | 'streaming' | 'complete' | 'stopped' | 'failed'
  readonly text: string
  /** What a model that thinks first says to itself. */
  readonly thought: string
  readonly firstTokenMs: number | null
  readonly lastTokenMs: number | null
  /** The engine's own figure; until it comes, the pieces that came. */
  readonly tokens: number
  readonly isCounted: boolean
  readonly node: string | null
  readonly requestId: string | null
  readonly failure: FailureRecord | null
}

export const noAnswer: Answer = {
  state: 'waiting',
  text: '',
  thought: '',
  firstTokenMs: null,
  lastTokenMs: null,
  tokens: 0,
  isCounted: false,
  node: null,
  requestId: null,
  failure: null,
}

export const isOpen = ({ state }: Answer): boolean => state === 'waiting' || state === 'streaming'

/** Tokens after the first one, over the time that they took; null where there are too few to tell. */
export function tokensPerS({ tokens, firstTokenMs, lastTokenMs }: Answer): number | null {
  if (tokens < 2 || firstTokenMs === null || lastTokenMs === null || lastTokenMs <= firstTokenMs) return null
  return ((tokens - 1) * 1_000) / (lastTokenMs - firstTokenMs)
}

export const failed = (answer: Answer, failure: FailureRecord): Answer => ({ ...answer, state: 'failed', failure })

const again = 'Ask again; if it comes again, look at the log of the node.'

export const broken = (answer: Answer, cause: string, remedy = again, code = 'stream_broken'): Answer =>
  failed(answer, { code, fault: 'node', retry: 'later', cause, remedy })

/** The data of each whole event, and what is left of a half one. Comments keep a connection open and say nothing. */
export function splitEvents(text: string): { events: string[]; rest: string } {
  const blocks = text.split(/\r?\n\r?\n/)
  const rest = blocks.pop() ?? ''
  const events = blocks.flatMap((block) => {
    const data = block.split(/\r?\n/).filter((line) => line.startsWith('data:'))
    return data.length === 0 ? [] : [data.map((line) => line.slice(5).replace(/^ /, '')).join('\n')]
  })
  return { events, rest }
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: Readonly<Record<string, unknown>> }[]
  readonly usage?: { readonly completion_tokens?: unknown } | null
  readonly error?: { readonly message?: unknown; readonly code?: unknown }
}

/** The answer with one event more, which came at `ms`. What came after an error is no end of a whole answer. */
export function take(answer: Answer, data: string, ms: number): Answer {
  if (!isOpen(answer)) return answer
  if (data === '[DONE]') return { ...answer, state: 'complete' }
  const chunk = parse(data)
  if (chunk === null) return broken(answer, 'The stream holds something that is no event of a completion.')
  if (chunk.error)
    return broken(answer, String(chunk.error.message), again, String(chunk.error.code ?? 'stream_broken'))
  const said = Number(chunk.usage?.completion_tokens ?? Number.NaN)
  const counted = Number.isFinite(said) ? { tokens: said, isCounted: true } : {}
  const delta = chunk.choices?.[0]?.delta ?? {}
  const text = textOf(delta.content)
  const thought = textOf(delta.reasoning_content) || textOf(delta.reasoning)
  if (text === '' && thought === '') return { ...answer, ...counted }
  return {
    ...answer,
    state: 'streaming',
    text: answer.text + text,
    thought: answer.thought + thought,
    firstTokenMs: answer.firstTokenMs ?? ms,
    lastTokenMs: ms,
    ...(answer.isCounted ? {} : { tokens: answer.tokens + 1 }),
    ...counted,
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

function parse(data: string): Chunk | null {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    // Said to the reader as what it is.
    return null
  }
}
