import type { EventView, LogLine } from '../../src/wire/views.ts'
import { plainText } from '../words/plain-text.ts'

export interface Transcript {
  readonly events: readonly EventView[]
  readonly lines: readonly LogLine[]
}

export interface Said {
  readonly key: string
  readonly at: string
  readonly who: 'event' | LogLine['source']
  readonly text: string
}

/** With the lines of one of its nodes that were printed since it was read. */
export function withLines(transcript: Transcript, printed: readonly LogLine[]): Transcript {
  const keyOf = ({ n, at, text }: LogLine) => `${n} ${at} ${text}`
  const read = new Set(transcript.lines.map(keyOf))
  return { ...transcript, lines: [...transcript.lines, ...printed.filter((line) => !read.has(keyOf(line)))] }
}

/** What happened and what was printed, in the order of time; an event before the lines that it led to. */
export function saidIn({ events, lines }: Transcript): readonly Said[] {
  const said: Said[] = [
    ...events.map(({ id, at, text }) => ({ key: `e${id}`, at, who: 'event' as const, text: plainText(text) })),
    // Lines of several nodes count from 0 each.
    ...lines.map(({ n, at, source, text }, i) => ({ key: `l${i}-${n}`, at, who: source, text: plainText(text) })),
  ]
  // All times are of one form, in UTC, so they sort as texts, and thousands of lines are sorted each time that one is printed.
  return said.sort((a, b) => Number(a.at > b.at) - Number(a.at < b.at))
}

/** As a text to hand on, times in UTC. */
export const transcriptText = (said: readonly Said[]): string =>
  said.map(({ at, who, text }) => `${at}  ${who === 'event' ? '*' : who.padEnd(6)} ${text}\n`).join('')

export const transcriptAddress = (origin: string, id: string): string => `${origin}/launches/${id}/transcript`
