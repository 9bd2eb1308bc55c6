import { useMemo } from 'react'
import type { TrafficView } from '../../src/wire/samples.ts'
import { Graph } from './graph.tsx'
import type { Line } from './line.ts'
import { brief, briefMs, steady, valuesOf } from './steady.ts'

export interface TrafficProps {
  readonly of: {
    readonly from: string
    readonly to: string
    readonly trafficS: number
    readonly traffic: readonly TrafficView[]
  }
}

/** What clients asked and how long they waited. Where nothing ended the counts are zero, and a mean is nothing. */
export function Traffic({ of }: TrafficProps) {
  const { xs, requests, waits, tokens } = useMemo(() => linesOf(of), [of])
  const each = of.trafficS === 60 ? 'a minute' : `in ${of.trafficS / 60} minutes`
  return (
    <>
      <Graph title={`Requests ${each}`} xs={xs} lines={requests} words={brief} />
      <Graph title="Latency, mean" xs={xs} lines={waits} words={briefMs} />
      <Graph title="Tokens made a second" xs={xs} lines={tokens} words={brief} />
    </>
  )
}

function linesOf({ from, to, trafficS, traffic }: TrafficProps['of']) {
  const { xs, rows } = steady(traffic, from, to, trafficS)
  const counted = (of: (row: TrafficView) => number) => valuesOf(rows, of, 0)
  const requests: Line[] = [
    { name: 'all', look: 'main', values: counted((row) => row.requests) },
    { name: 'failed', look: 'bad', values: counted((row) => row.failed) },
    { name: 'given up by clients', look: 'soft', values: counted((row) => row.aborted) },
  ]
  const waits: Line[] = [
    { name: 'to the first token', look: 'main', values: valuesOf(rows, (row) => row.firstTokenMs) },
    { name: 'whole', look: 'second', values: valuesOf(rows, (row) => row.durationMs) },
  ]
  const tokens: Line[] = [{ name: 'tokens', look: 'main', values: counted((row) => row.completionTokensPerS) }]
  return { xs, requests, waits, tokens }
}
