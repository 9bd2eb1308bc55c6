import type { UseQueryResult } from '@tanstack/react-query'
import { useEffect } from 'react'
import { keyOf, queries } from '../api/queries.ts'
import { useRead } from '../api/reading.ts'
import { useLaunch, useLog } from '../live/fed.ts'
import { type Transcript, withLines } from './transcript-text.ts'

/** Everything that was said during a launch: read again when something happens to it or to its node, and each line as it is printed. */
export function useTranscript(id: string): UseQueryResult<Transcript> {
  const launch = useLaunch(id).data
  const nodeId = launch?.nodeId ?? null
  const node = useRead('showNode', { params: { id: nodeId ?? '' } }, { enabled: nodeId !== null }).data
  const printed = useLog(nodeId)
  const { state, phase, attempts, steps } = launch ?? {}
  const happened = [state, phase, attempts?.length, steps?.length, node?.timeline.at(-1)?.id].join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: what has happened is what it hangs on.
  useEffect(() => void queries.invalidateQueries({ queryKey: keyOf('transcript', { params: { id } }) }), [id, happened])
  const read = useRead('transcript', { params: { id } })
  return read.data && printed ? { ...read, data: withLines(read.data, printed) } : read
}
