import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalProcess } from '../../src/clouds/local/processes.ts'
import { query } from '../../src/store/test-database.ts'
import { EngineWatch, slotsOf } from './engine-watch.ts'
import { type Cut, HeldDatabase } from './held-database.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { startServer, type TestServer } from './server.ts'

let server: TestServer
let database: HeldDatabase
let plane: Plane

beforeAll(async () => {
  server = await startServer()
  database = await HeldDatabase.before(server.url)
  plane = await startPlane({
    scripts: { quick: { startupMs: 400 } },
    databaseUrl: database.url,
    gateway: false,
    // What a killed one had claimed waits for so long.
    config: { launch: { perMinute: 1_000 }, claimHoldS: 2 },
  })
}, 90_000)
afterAll(async () => {
  await plane?.end()
  await database?.close()
  await server?.end()
})

interface Moment {
  readonly cut: Cut
  /** Asked for once it is live. */
  readonly release?: true
  /** Nothing of the machine runs until the control plane has found it by its name: its agent would say where it is. */
  readonly silent?: true
  /** What the rows say of the node at the kill. */
  readonly kept: {
    readonly state: string
    readonly asked?: boolean
    readonly open?: boolean
    readonly joined?: boolean
  }
  /** Machines at the kill, and their engines. */
  readonly there: readonly [machines: number, engines: number]
}

const committed = (says: RegExp): Cut => ({ says, loses: 'answer' })
/** A step of a node is saved together with the line of its timeline that tells of it. */
const step = (state: string): Cut => committed(new RegExp(`insert into "events"[\\s\\S]*node\\.${state}`))

const moments: Readonly<Record<string, Moment>> = {
  'the attempt is saved, and nobody has taken up its node': {
    cut: committed(/insert into "attempts"/),
    kept: { state: 'intended' },
    there: [0, 0],
  },
  'it is saved that a machine is asked for, and its cloud has heard nothing of it': {
    cut: step('requesting'),
    kept: { state: 'requesting', asked: false },
    there: [0, 0],
  },
  '"we are asking now" is saved, and the cloud is not asked': {
    cut: committed(/set "asked_at" = /),
    kept: { state: 'requesting', asked: true, open: true, joined: false },
    there: [0, 0],
  },
  'the cloud has made the machine, and its answer is not saved': {
    cut: { says: /set "ask_open" = \$1, "refusal" = /, loses: 'statement' },
    silent: true,
    kept: { state: 'requesting', asked: true, open: true },
    there: [1, 0],
  },
  'the join is saved and paid for, and its agent is not told what to run': {
    cut: committed(/"join_used_at" = coalesce/),
    kept: { state: 'requesting', joined: true },
    there: [1, 0],
  },
  'the release is saved, and the cloud is not asked to end the machine': {
    cut: step('releasing'),
    release: true,
    kept: { state: 'releasing' },
    there: [1, 1],
  },
  'the node is gone and its ledger is closed, and its launch has heard nothing of it': {
    cut: step('gone'),
    release: true,
    kept: { state: 'gone' },
    there: [0, 0],
  },
}

const shown = (id: string) => plane.client.showLaunch({ params: { id } })

async function keptOf(launchId: string): Promise<Record<string, unknown>[]> {
  const columns = 'state, asked_at, asked_at is not null as asked, ask_open as open, joined_at is not null as joined'
  return query({ url: server.url }, `select ${columns} from nodes where launch_id = '${launchId}'`)
}

async function signalMachines(signal: NodeJS.Signals): Promise<void> {
  for (const pids of (await plane.machines()).values()) for (const pid of pids) signalProcess(pid, signal)
}

/** The machine that is there is looked up and taken for what was asked for: its cloud is not asked again. */
async function foundByName(launchId: string): Promise<void> {
  // Whom the first signal still let begin, the second one meets.
  for (let i = 0; i < 2; i++) await signalMachines('SIGSTOP')
  const before = await plane.machines()
  const ask = async () => (await keptOf(launchId))[0]
  const askedAt = (await ask())?.['asked_at']
  await plane.start()
  await until(
    async () => (await ask())?.['open'] === false,
    60_000,
    () => 'the ask stays open',
  )
  expect(await ask()).toMatchObject({ asked_at: askedAt, joined: false })
  expect(await plane.machines()).toEqual(before)
  await signalMachines('SIGCONT')
}

const all = async (command: string) => [...(await plane.running(command)).values()].flat()

async function accountsAreWhole(id: string): Promise<void> {
  for (const { nodeId } of (await shown(id)).attempts)
    ledgerIsWhole(await plane.client.showNode({ params: { id: nodeId } }))
}

test.for(Object.entries(moments))(
  'kill -9 of the control plane when %s: it goes on from there, with one engine and one unbroken account',
  { timeout: 180_000 },
  async ([, { cut, release, silent, kept, there }]) => {
    const watch = new EngineWatch(plane)
    let stands = release ? undefined : database.holds(cut)
    const { id } = await plane.launched('quick')
    if (release) {
      const live = await plane.reaches(id, ['live'], 60_000)
      stands = database.holds(cut)
      await plane.client.releaseNode({ params: { id: (await plane.node(live)).id } })
    }
    await stands
    await plane.signal('SIGKILL')
    expect(await keptOf(id)).toEqual([expect.objectContaining(kept)])
    const engines = await all('scripted-engine')
    expect([(await plane.machines()).size, engines.length]).toEqual(there)

    if (silent) await foundByName(id)
    else await plane.start()
    if (!release) {
      const live = await plane.reaches(id, ['live'], 60_000)
      expect(live.attempts).toHaveLength(1)
      expect(await all('scripted-engine')).toHaveLength(1)
      await accountsAreWhole(id)
      await plane.client.releaseNode({ params: { id: (await plane.node(live)).id } })
    }
    const over = await plane.reaches(id, ['ended'], 60_000)
    expect(over.attempts).toHaveLength(1)
    await accountsAreWhole(id)
    expect(await plane.machines()).toEqual(new Map())
    expect(await watch.faults(await slotsOf(plane, [id]))).toEqual([])
  },
)
