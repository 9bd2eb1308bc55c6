import { useEffect, useState } from 'react'
import type { LiveMessage } from '../../src/wire/live.ts'
import type { LogLine } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { live } from './link.ts'

/** One launch: read once, then told of each change. */
export const useLaunch = (id: string) => useRead('showLaunch', { params: { id } })

/** One node, with its ledger and timeline: read once, then told of each change. */
export const useNode = (id: string) => useRead('showNode', { params: { id } })

/** The most lines that the page keeps; older ones are dropped. */
const keptLines = 5_000

/** The last lines of a node's log, and each new one; null until the first word of it came, and where there is no node. */
export function useLog(nodeId: string | null): readonly LogLine[] | null {
  const [lines, setLines] = useState<readonly LogLine[] | null>(null)
  useEffect(() => {
    setLines(null)
    if (nodeId === null) return
    return live.follow({ topic: 'log', id: nodeId }, (message) => {
      const { lines: told } = message as Extract<LiveMessage, { topic: 'log' }>
      setLines((had) => {
        // After a reconnection the last lines are told again.
        const lastN = had?.at(-1)?.n ?? -1
        return [...(had ?? []), ...told.filter(({ n }) => n > lastN)].slice(-keptLines)
      })
    })
  }, [nodeId])
  return lines
}
