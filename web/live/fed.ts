import { useEffect, useState } from 'react'
import type { LiveMessage } from '../../src/wire/live.ts'
import type { LogLine } from '../../src/wire/views.ts'
import { keyOf, queries, useRead } from '../api/reading.ts'
import { live } from './link.ts'

type MessageOf<T extends LiveMessage['topic']> = Extract<LiveMessage, { topic: T }>

/** Follows a topic while the component is there. `hear` may change from one drawing to the next. */
export function useTopic(topic: string, id: string | undefined, hear: (message: LiveMessage) => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: who hears is what the first drawing gave; topic and id decide.
  useEffect(() => live.follow(id === undefined ? { topic } : { topic, id }, hear), [topic, id])
}

/** What the socket told is newer than an answer that is still on its way, which would overwrite it. */
function hold(key: readonly unknown[], value: unknown): void {
  void queries.cancelQueries({ queryKey: key, exact: true }, { revert: false })
  queries.setQueryData(key, value)
}

/** One launch: read once, then told of each change. */
export function useLaunch(id: string) {
  useTopic('launch', id, (message) => {
    const { launch } = message as MessageOf<'launch'>
    hold(keyOf('showLaunch', { params: { id } }), launch)
  })
  return useRead('showLaunch', { params: { id } })
}

/** The most lines that the page keeps; older ones are dropped. */
export const keptLines = 5_000

/** The last lines of a node's log, and each new one; null until the first word of it came. */
export function useLog(nodeId: string): readonly LogLine[] | null {
  const [lines, setLines] = useState<readonly LogLine[] | null>(null)
  useTopic('log', nodeId, (message) => {
    const { lines: told } = message as MessageOf<'log'>
    setLines((had) => {
      // After a reconnection the last lines are told again.
      const lastN = had?.at(-1)?.n ?? -1
      return [...(had ?? []), ...told.filter(({ n }) => n > lastN)].slice(-keptLines)
    })
  })
  return lines
}
