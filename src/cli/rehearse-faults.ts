import { readFileSync } from 'node:fs'
import type { GuardKind } from '../core/guard.ts'
import type { Verdict } from '../core/verdict-table.ts'
import type { NodeView } from '../wire/views.ts'
import { markedProcesses, signalProcess, type World } from './demo-world.ts'
import { usage } from './exit.ts'
import { quietPause } from './live-feed.ts'
import type { RehearsalCloud } from './rehearse-cloud.ts'

/** What a fault has to do with besides the machines that it befalls. */
export interface Stage {
  /** Null: the machines are this host's. */
  readonly cloud: RehearsalCloud | null
  readonly world: Pick<World, 'signal'>
  /** Aborts when the rehearsal is interrupted. */
  readonly signal: AbortSignal
}

/** One thing that goes wrong, done to real processes of this host. */
export interface Fault {
  /** What befalls machines, and what is to be expected: for who wants to know it before. */
  readonly does: string
  /** Measured with four replicas on two cores, with room to spare. */
  readonly takesS: number
  /** How many machines it befalls, of so many. */
  readonly strikes: (replicas: number) => number
  readonly strike: (nodes: readonly NodeView[], stage: Stage) => void | Promise<void>
  /** The machines that it befalls go on getting requests. */
  readonly keeps?: true
  /** It is over once what is seen has come to this; otherwise its machines are lost. */
  readonly heal?: {
    readonly when: (seen: Seen) => boolean
    readonly end?: (nodes: readonly NodeView[], stage: Stage) => void
  }
  /** It is a cloud's doing, so the machines are rented of a simulated one instead of being this host's. */
  readonly rented?: true
}

/** What is seen of a fault while it lasts. */
export interface Seen {
  readonly guard: GuardKind | null
  readonly asked: number
  readonly silentClouds: number
  /** Of the machines that it befell. */
  readonly verdicts: readonly Verdict[]
}

const one = () => 1
const half = (replicas: number) => Math.floor(replicas / 2)
/** Half of a fleet is more than the guard takes for chance, which is three or a fifth of many, only from here on. */
export const leastForHalf = 8

// Longer than the three heartbeats after which a silent agent is looked for.
const standstillS = 40

export const faults = {
  notice: {
    does: 'A cloud takes the machine back and says so (SIGTERM). Requests leave it at once, those in flight are finished, and another machine is asked for.',
    takesS: 25,
    strikes: one,
    strike: (nodes) => send('SIGTERM', allOf(nodes).filter(isLoop)),
  },
  kill: {
    does: 'All that runs on the machine ends at once (SIGKILL), and its connections with it. What it had in flight breaks or is asked of another one; another machine is asked for.',
    takesS: 30,
    strikes: one,
    strike: (nodes) => {
      for (const { name } of nodes) killMachine(name)
    },
  },
  vanish: {
    does: 'The machine loses its power: nothing on it moves any more (SIGSTOP), and its connections stay open. Who waits there is asked whether it lives; what has not begun goes to another one within 5 s, what has begun breaks, and another machine is asked for.',
    takesS: 70,
    strikes: one,
    strike: vanishMachines,
  },
  hang: {
    does: 'The engine stands still with its port open (SIGSTOP), and its agent speaks on. The next probe finds it; then another machine is asked for, and this one is released.',
    takesS: 70,
    strikes: one,
    strike: (nodes) => send('SIGSTOP', allOf(nodes).filter(isEngine)),
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
    strike: (nodes) => send('SIGSTOP', allOf(nodes).filter(isKeeper)),
  },
  half: {
    does: `Half of the fleet falls silent at once, and comes back. The guard holds: nothing is released, and one machine at a time is asked for. It takes ${leastForHalf} replicas.`,
    takesS: 60,
    strikes: half,
    strike: (nodes) => send('SIGSTOP', allOf(nodes).filter(isKeeper)),
    heal: {
      when: ({ guard, asked }) => guard === 'suspects' && asked > 0,
      end: (nodes) => send('SIGCONT', allOf(nodes).filter(isKeeper)),
    },
  },
  withdrawn: {
    does: 'A cloud announces that it takes the machine back, and withdraws that once another one was asked for. The machine serves again.',
    takesS: 60,
    strikes: one,
    strike: (nodes, stage) => tellNotices(nodes, stage, { stands: true, slides: false }),
    heal: {
      when: ({ asked }) => asked > 0,
      end: (nodes, stage) => tellNotices(nodes, stage, { stands: false, slides: false }),
    },
    rented: true,
  },
  sliding: {
    does: 'A cloud takes the machine back, and names two minutes from now however often it is asked. It is one notice whose time stands: the machine drains, another one is asked for, and after two minutes the cloud has taken it.',
    takesS: 220,
    strikes: one,
    strike: (nodes, stage) => tellNotices(nodes, stage, { stands: true, slides: true }),
    rented: true,
  },
  unlisted: {
    does: 'The cloud says of a machine that it is gone, while it serves. It serves on, degraded, nothing is released and its bill stays open; then the cloud lists it again.',
    takesS: 100,
    strikes: one,
    strike: (nodes, { cloud }) => cloud?.order({ unlisted: nodes.map(({ name }) => name) }),
    keeps: true,
    heal: {
      when: ({ verdicts }) => verdicts.includes('degraded'),
      end: (_, { cloud }) => cloud?.order({ unlisted: [] }),
    },
    rented: true,
  },
  cloud: {
    does: 'The API of the cloud answers nobody until that is noticed, and then it does. All machines serve on, and nothing is released.',
    takesS: 120,
    strikes: () => 0,
    strike: (_, { cloud }) => cloud?.order({ away: true }),
    heal: { when: ({ silentClouds }) => silentClouds > 0, end: (_, { cloud }) => cloud?.order({ away: false }) },
    rented: true,
  },
  control: {
    does: `The control plane stands still for ${standstillS} s (SIGSTOP). Gateway and machines serve without it; when it is back the guard holds for a while, and nothing is released.`,
    takesS: standstillS + 20,
    strikes: () => 0,
    strike: standStill,
    heal: { when: ({ guard }) => guard === 'gap' || guard === 'held_up' },
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

const allOf = (nodes: readonly NodeView[]): number[] => nodes.flatMap(({ name }) => processesOf(name))

function send(signal: NodeJS.Signals, pids: readonly number[]): void {
  for (const pid of pids) signalProcess(pid, signal)
}

// The loop that starts everything else anew may have done so while we killed.
const killRounds = 10

/** All that runs of a machine ends at once, and the kernel closes its connections. */
export function killMachine(name: string): void {
  for (let round = 0; round < killRounds; round++) {
    const pids = processesOf(name)
    if (pids.length === 0) return
    send('SIGKILL', pids)
  }
}

/** Nothing of a machine moves any more and no connection closes, as with a power cut. */
export function vanishMachines(machines: readonly { readonly name: string }[]): void {
  for (const { name } of machines) send('SIGSTOP', processesOf(name))
}

function tellNotices(
  nodes: readonly NodeView[],
  { cloud }: Stage,
  notice: { readonly stands: boolean; readonly slides: boolean },
): void {
  for (const { name } of nodes) cloud?.order({ notice: { name, ...notice } })
}

async function standStill(_: readonly NodeView[], { world, signal }: Stage): Promise<void> {
  world.signal('SIGSTOP')
  await quietPause(standstillS * 1_000, signal)
  world.signal('SIGCONT')
}

async function wedgeEngine(nodes: readonly NodeView[]): Promise<void> {
  const engines = allOf(nodes).filter(isEngine)
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
