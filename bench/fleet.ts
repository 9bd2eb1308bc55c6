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
const bars = { cores: 1, rssMib: 1_024 }

async function measure(nodes: number) {
  const { child, dir, client, took: beats, wrong, end } = await startFleetPlane(nodes)
  try {
    await pause(settleMs)
    const [cpu, at, before] = [cpuMs(child.pid, dir), performance.now(), beats.length]
    await pause(measureMs)
    const seconds = (performance.now() - at) / 1_000
    const cores = (cpuMs(child.pid, dir) - cpu) / 1_000 / seconds
    const took = beats.slice(before).sort((a, b) => a - b)
    const { items } = await client.listNodes({ query: { limit: 500 } })
    const well = items.filter(({ state, verdict }) => state === 'ready' && verdict === 'healthy').length
    for (const one of new Set(wrong)) console.log(`  ${one}`)
    return {
      nodes,
      cores: Number(cores.toFixed(3)),
      rssMib: Math.round(
        [child.pid ?? 0, ...databaseProcesses(dir).map(({ pid }) => pid)].reduce((sum, pid) => sum + pssMib(pid), 0),
      ),
      beatsPerS: Math.round(took.length / seconds),
      beatP50Ms: round(took[Math.floor(took.length * 0.5)]),
      beatP99Ms: round(took[Math.floor(took.length * 0.99)]),
      failedBeats: wrong.length,
      wellOfPage: Number((well / items.length).toFixed(3)),
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

const all = []
for (const nodes of sizes) {
  const figures = await measure(nodes)
  console.log(JSON.stringify(figures))
  all.push(figures)
}
const largest = all.at(-1)
const missed = (Object.keys(bars) as (keyof typeof bars)[]).filter(
  (name) => (largest?.[name] ?? Number.NaN) > bars[name],
)
console.log(JSON.stringify({ bench: 'fleet', ...largest, sizes: all, met: missed.length === 0, missed }))
if (missed.length > 0) process.exitCode = 1
