import { useMemo } from 'react'
import type { DeploymentSamplesView } from '../../src/wire/samples.ts'
import { useRead } from '../api/reading.ts'
import { Graph } from '../graphs/graph.tsx'
import { Graphs, useSpan } from '../graphs/graphs.tsx'
import type { Line } from '../graphs/line.ts'
import { brief, steady, valuesOf } from '../graphs/steady.ts'
import { Traffic } from '../graphs/traffic.tsx'
import { Loaded } from '../parts/page.tsx'

/** Replicas, load, traffic and latency of the last hour or day. */
export function DeploymentGraphs({ id }: { readonly id: string }) {
  const [span, pick] = useSpan()
  const samples = useRead('deploymentSamples', { params: { id }, query: { span } })
  return (
    <Graphs title="Traffic and latency" pick={pick}>
      <Loaded of={samples}>
        {(of) => (
          <>
            <Replicas of={of} />
            <Traffic of={of} />
          </>
        )}
      </Loaded>
    </Graphs>
  )
}

function Replicas({ of }: { readonly of: DeploymentSamplesView }) {
  const { xs, replicas, load } = useMemo(() => linesOf(of), [of])
  return (
    <>
      <Graph title="Replicas" xs={xs} lines={replicas} words={brief} />
      <Graph title="Requests in flight" xs={xs} lines={load} words={brief} />
    </>
  )
}

function linesOf({ from, to, sampleS, samples }: DeploymentSamplesView) {
  const { xs, rows } = steady(samples, from, to, sampleS)
  const replicas: Line[] = [
    { name: 'wanted', look: 'soft', values: valuesOf(rows, (row) => row.wanted) },
    { name: 'ready', look: 'main', values: valuesOf(rows, (row) => row.ready) },
  ]
  const load: Line[] = [
    { name: 'in flight', look: 'main', values: valuesOf(rows, (row) => row.inFlight) },
    { name: 'waiting in engines', look: 'second', values: valuesOf(rows, (row) => row.waiting) },
  ]
  return { xs, replicas, load }
}
