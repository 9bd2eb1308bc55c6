import { useMemo } from 'react'
import type { NodeSamplesView } from '../../src/wire/samples.ts'
import { useRead } from '../api/reading.ts'
import { Graph } from '../graphs/graph.tsx'
import { Graphs, useSpan } from '../graphs/graphs.tsx'
import type { Line } from '../graphs/line.ts'
import { brief, steady, valuesOf } from '../graphs/steady.ts'
import { Traffic } from '../graphs/traffic.tsx'
import { Loaded } from '../parts/page.tsx'

/** What a node did in the last hour or day: its load, its GPUs, and what clients got of it. */
export function NodeGraphs({ id }: { readonly id: string }) {
  const [span, pick] = useSpan()
  const samples = useRead('nodeSamples', { params: { id }, query: { span } })
  return (
    <Graphs title="What it did" pick={pick}>
      <Loaded of={samples}>
        {(of) => (
          <>
            <Load of={of} />
            <Traffic of={of} />
          </>
        )}
      </Loaded>
    </Graphs>
  )
}

const percent = (value: number): string => `${brief(value)} %`
const gib = (mib: number): string => `${brief(mib / 1_024)} GiB`

function Load({ of }: { readonly of: NodeSamplesView }) {
  const { xs, load, use, memory } = useMemo(() => linesOf(of), [of])
  const saysMemory = memory.some(({ values }) => values.some((value) => value !== null))
  return (
    <>
      <Graph title="Requests" xs={xs} lines={load} words={brief} />
      <Graph title="Use" xs={xs} lines={use} words={percent} atLeast={100} />
      {saysMemory && <Graph title="GPU memory" xs={xs} lines={memory} words={gib} />}
    </>
  )
}

function linesOf({ from, to, sampleS, samples }: NodeSamplesView) {
  const { xs, rows } = steady(samples, from, to, sampleS)
  const load: Line[] = [
    { name: 'in flight', look: 'main', values: valuesOf(rows, (row) => row.inFlight) },
    { name: 'waiting in the engine', look: 'second', values: valuesOf(rows, (row) => row.waiting) },
  ]
  const use: Line[] = [
    { name: 'GPUs', look: 'main', values: valuesOf(rows, (row) => row.gpuPercent) },
    { name: 'KV cache', look: 'second', values: valuesOf(rows, (row) => row.kvPercent) },
  ]
  const memory: Line[] = [{ name: 'used', look: 'main', values: valuesOf(rows, (row) => row.gpuUsedMib) }]
  return { xs, load, use, memory }
}
