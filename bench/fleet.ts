// `npm run bench:fleet [-- --nodes=100,1000,10000]`: what a fleet that only lives costs its control plane. Each node is a
// connection of its own with a heartbeat each ten seconds, as the reply tells it; the cloud lists all of them each minute.
// API, intake, loops and the embedded PostgreSQL are the real ones; machines, their agents and the cloud are simulated.
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { databaseCpuMs, databaseProcesses } from './database-cpu.ts'
import { startFleetPlane } from './fleet-plane.ts'

const sizes = (process.argv.find((argument) => argument.startsWith('--nodes='))?.slice(8) ?? '100,1000,10000')
  .split(',')
  .map(Number)
const settleMs = 40_000
const measureMs = 60_000
interface Figures {
  readonly nodes: number
  readonly cores: number
  readonly rssMib: number
  readonly beatsPerS: number
  readonly beatP50Ms: number
  readonly beatP99Ms: number
  readonly failedBeats: number
  /** The share of the first 500 nodes that are ready and healthy in the end. */
  readonly wellOfPage: number
}

/** Of every size. A heartbeat each ten seconds of each node, with a twentieth for where the minute is cut. */
const bars: Readonly<Record<string, (figures: Figures) => boolean>> = {
  cores: ({ cores }) => cores <= 1,
  rssMib: ({ rssMib }) => rssMib <= 1_024,
  beatsPerS: ({ nodes, beatsPerS }) => beatsPerS >= 0.95 * (nodes / 10),
  failedBeats: ({ failedBeats }) => failedBeats === 0,
  wellOfPage: ({ wellOfPage }) => wellOfPage === 1,
}

async function measure(nodes: number): Promise<Figures> {
  const { child, dir, client, took: beats, wrong, end } = await startFleetPlane(nodes)
  try {
    await pause(settleMs)
    const [cpu, at] = [cpuMs(child.pid, dir), performance.now()]
    const [before, wrongBefore] = [beats.length, wrong.length]
    await pause(measureMs)
    const seconds = (performance.now() - at) / 1_000
    const cores = (cpuMs(child.pid, dir) - cpu) / 1_000 / seconds
    const took = beats.slice(before).sort((a, b) => a - b)
    const failedBeats = wrong.length - wrongBefore
    const { items } = await client.listNodes({ query: { limit: 500 } })
    // The node that was multiplied has no agent any more.
    const fleet = items.filter(({ id }) => id.startsWith('no-b'))
    const well = fleet.filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy').length
    for (const one of new Set(wrong)) console.log(`  ${one}`)
    return {
      nodes,
      cores: Number(cores.toFixed(3)),
      rssMib: Math.round(
        [child.pid ?? 0, ...databaseProcesses(dir).map(({ pid }) => pid)].reduce((sum, pid) => sum + pssMib(pid), 0),
      ),
      beatsPerS: Number(((took.length - failedBeats) / seconds).toFixed(1)),
      beatP50Ms: round(took[Math.floor(took.length * 0.5)]),
      beatP99Ms: round(took[Math.floor(took.length * 0.99)]),
      failedBeats,
      wellOfPage: Number((well / fleet.length).toFixed(3)),
    }
  } finally {
    await end()
  }
}

function cpuMs(pid: number | undefined, dir: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [, , ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return 10 * (Number(rest[9]) + Number(rest[10])) + databaseCpuMs(dir)
}

/** Memory that is shared counts once. */
function pssMib(pid: number): number {
  try {
    const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
    return Number(found?.[1] ?? 0) / 1_024
  } catch {
    // A connection of the database that has just ended.
    return 0
  }
}

const round = (ms: number | undefined): number => Number((ms ?? Number.NaN).toFixed(1))

const all: Figures[] = []
for (const nodes of sizes) {
  const figures = await measure(nodes)
  console.log(JSON.stringify(figures))
  all.push(figures)
}
const largest = all.at(-1)
const missed = Object.entries(bars).flatMap(([name, holds]) => (all.every(holds) ? [] : [name]))
console.log(JSON.stringify({ bench: 'fleet', ...largest, sizes: all, met: missed.length === 0, missed }))
if (missed.length > 0) process.exitCode = 1
