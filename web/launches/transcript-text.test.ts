import { expect, test } from 'vitest'
import { saidIn, transcriptText, withLines } from './transcript-text.ts'

const event = (id: number, at: string, text: string) => ({ id, at, kind: 'k', text, nodeId: null, launchId: null })
const line = (n: number, at: string, text: string) => ({ n, at, source: 'engine' as const, text })

test('events and lines stand in the order of time, each with its moment, and lines of two nodes apart', () => {
  const said = saidIn({
    events: [event(1, '2026-03-01T12:00:00.000Z', 'Launched by ada.'), event(2, '2026-03-01T12:00:02.000Z', 'Joined.')],
    lines: [line(0, '2026-03-01T12:00:01.000Z', 'a\u001b[2J'), line(0, '2026-03-01T12:00:03.000Z', 'b')],
  })
  expect(transcriptText(said)).toBe(
    [
      '2026-03-01T12:00:00.000Z  * Launched by ada.',
      '2026-03-01T12:00:01.000Z  engine a\\x1b[2J',
      '2026-03-01T12:00:02.000Z  * Joined.',
      '2026-03-01T12:00:03.000Z  engine b',
      '',
    ].join('\n'),
  )
  expect(new Set(said.map(({ key }) => key)).size).toBe(4)
})

test('of the lines that are followed only those are put behind which were not read, also those of a node that counts anew', () => {
  const [first, second] = [line(0, '2026-03-01T12:00:01.000Z', 'a'), line(1, '2026-03-01T12:00:02.000Z', 'b')]
  const anew = line(0, '2026-03-01T12:00:03.000Z', 'c')
  expect(withLines({ events: [], lines: [first, second] }, [second, anew]).lines).toEqual([first, second, anew])
})
