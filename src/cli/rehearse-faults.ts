import { readFileSync } from 'node:fs'
import type { NodeView } from '../wire/views.ts'
import { markedProcesses, signalProcess } from './demo-world.ts'
import { usage } from './exit.ts'

/** One thing that goes wrong, done to real processes of this host. */
export interface Fault {
  /** What befalls machines, and what is to be expected: for who wants to know it before. */
  readonly does: string
  /** Measured with four replicas on two cores, with room to spare. */
  readonly takesS: number
  /** How many machines it befalls, of so many. */
  readonly strikes: (replicas: number) => number
  readonly strike: (node: NodeView) => void | Promise<void>
  /** It ends by itself once the guard was seen to hold; otherwise its machines are lost. */
  readonly heal?: (node: NodeView) => void
}

const one = () => 1
// The guard lets three be lost at once, and a fifth of many.
const half = (replicas: number) => Math.floor(replicas / 2)
/** Half of a fleet is more than the guard takes for chance only from here on. */
export const leastForHalf = 8

export const faults = {
  notice: {
    does: 'A cloud takes the machine back and says so (SIGTERM). Requests leave it at once, those in flight are finished, and another machine is asked for.',
    takesS: 25,
    strikes: one,
    strike: ({ name }) => send('SIGTERM', processesOf(name).filter(isLoop)),
  },
  kill: {
    does: 'The machine loses its power (SIGKILL). What it had in flight breaks or is asked of another one; another machine is asked for.',
    takesS: 30,
    strikes: one,
    strike: ({ name }) => killMachine(name),
  },
  hang: {
    does: 'The engine stands still with its port open (SIGSTOP), and its agent speaks on. The next probe finds it; then another machine is asked for, and this one is released.',
    takesS: 70,
    strikes: one,
    strike: ({ name }) => send('SIGSTOP', processesOf(name).filter(isEngine)),
  },
  wedge: {
    does: 'The engine answers health and lists its model, and no token comes any more. It is asked for a token of its own once it completed nothing for a minute.',
    takesS: 180,
    strikes: one,
    strike: wedgeEngine,
  },
  silence: {
    does: 'The agent falls silent (SIGSTOP) while its engine and its cloud are well. The next probe finds it; then another machine is asked for, and this one is released.',
    takesS: 70,
    strikes: one,
    strike: ({ name }) => send('SIGSTOP', processesOf(name).filter(isKeeper)),
  },
  half: {
    does: `Half of the fleet falls silent at once, and comes back. The guard holds: nothing is released, and one machine at a time is asked for. It takes ${leastForHalf} replicas.`,
    takesS: 60,
    strikes: half,
    strike: ({ name }) => send('SIGSTOP', processesOf(name).filter(isKeeper)),
    heal: ({ name }) => send('SIGCONT', processesOf(name).filter(isKeeper)),
  },
} satisfies Record<string, Fault>
export type FaultName = keyof typeof faults
export const faultNames = Object.keys(faults) as FaultName[]

/** @throws CliFailure for a word that names none. */
export function faultsOf(text: string): FaultName[] {
  if (text === 'all') return faultNames
  return text.split(',').map((word) => {
    const name = faultNames.find((known) => known === word.trim())
    if (name) return name
    const remedy = `Write one or more of ${faultNames.join(', ')}, with commas between them, or "all".`
    throw usage(`--faults must be names of faults, not "${word}".`, remedy)
  })
}

const processesOf = (name: string): number[] => markedProcesses([`FLIGHTDECK_MACHINE=${name}`, name])

function send(signal: NodeJS.Signals, pids: readonly number[]): void {
  for (const pid of pids) signalProcess(pid, signal)
}

// The loop that starts everything else anew may have done so while we killed.
const killRounds = 10

/** All that runs of a machine ends at once, as by a power cut. */
export function killMachine(name: string): void {
  for (let round = 0; round < killRounds; round++) {
    const pids = processesOf(name)
    if (pids.length === 0) return
    send('SIGKILL', pids)
  }
}

async function wedgeEngine({ name }: NodeView): Promise<void> {
  const engines = processesOf(name).filter(isEngine)
  const ports = engines.flatMap((pid) => /--port[\0=](\d+)/.exec(commandOf(pid))?.[1] ?? [])
  for (const port of ports)
    await fetch(`http://127.0.0.1:${port}/sim/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ tokens: 'never' }),
    })
}

const isLoop = (pid: number): boolean => commandOf(pid).includes('loop.sh')
const isEngine = (pid: number): boolean => commandOf(pid).includes('engine-sim')
/** The agent, and the loop that would start it anew. */
const isKeeper = (pid: number): boolean => !isEngine(pid)

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    // It ended while we looked.
    return ''
  }
}
