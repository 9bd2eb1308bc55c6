import { useEffect, useState } from 'react'
import type { LiveMessage } from '../../src/wire/live.ts'
import type { LogLine } from '../../src/wire/views.ts'
import { client, failureOf } from '../api/client.ts'
import { useRead } from '../api/reading.ts'
import { live } from './link.ts'
import { joined, keptLines, missingAfter } from './log-lines.ts'

/** One launch: read once, then told of each change. */
export const useLaunch = (id: string) => useRead('showLaunch', { params: { id } })

/** One node, with its ledger and timeline: read once, then told of each change. */
export const useNode = (id: string) => useRead('showNode', { params: { id } })

/** The last lines of a node's log, and each new one; null until the first word of it came, and where there is no node. */
export function useLog(nodeId: string | null): readonly LogLine[] | null {
  const [lines, setLines] = useState<readonly LogLine[] | null>(null)
  useEffect(() => {
    setLines(null)
    if (nodeId === null) return
    let had: readonly LogLine[] = []
    let isOver = false
    const take = (told: readonly LogLine[]) => {
      had = joined(had, told)
      if (!isOver) setLines(had)
    }
    const leave = live.follow({ topic: 'log', id: nodeId }, (message) => {
      const { lines: told } = message as Extract<LiveMessage, { topic: 'log' }>
      const after = missingAfter(had, told)
      take(told)
      if (after === null) return
      const call = { params: { id: nodeId }, query: { after, tail: keptLines } }
      // Where nobody answers, the transcript has them still.
      client.nodeLogs(call).then(({ items }) => take(items), failureOf)
    })
    return () => {
      isOver = true
      leave()
    }
  }, [nodeId])
  return lines
}
