import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { isOver, type LaunchState, launchTable } from '../../src/core/launch-table.ts'
import { statesOf } from '../../src/core/machine-table.ts'
import { type NodeState, nodeTable } from '../../src/core/node-table.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { EngineWatch, slotsOf } from './engine-watch.ts'
import { type Held, Hold } from './hold.ts'
import { ledgerIsWhole, type Plane, startPlane, until } from './plane.ts'
import { startServer, type TestServer } from './server.ts'

let server: TestServer
let hold: Hold
let plane: Plane
const dir = mkdtempSync(join(tmpdir(), 'fd-states-'))
const mended = join(dir, 'mended')
const absent = join(import.meta.dirname, '../fixtures/vllm/log.fail.model_absent.txt')

beforeAll(async () => {
  server = await startServer()
  plane = await startPlane({
    scripts: {
      slow: { startupMs: 600, lingersMs: 400 },
      broken: { brokenUntil: mended },
      absent: { prints: absent },
      stuck: { faults: { hangInPhase: 'weights_load' } },
    },
    databaseUrl: server.url,
    gateway: false,
    config: { launch: { rounds: 1, triesPerOffer: 2, firstBackOffS: 0.1, perMinute: 1_000 } },
  })
  hold = await Hold.on(server.url)
}, 60_000)
afterAll(async () => {
  await hold?.close()
  await plane?.end()
  await server?.end()
  rmSync(dir, { recursive: true, force: true })
})

let launch: LaunchDetail | null
let watch: EngineWatch
beforeEach(() => {
  rmSync(mended, { force: true })
  launch = null
  watch = new EngineWatch(plane)
})
afterEach(async () => {
  await watch.faults(new Map())
  await hold.lift()
  await resume()
  if (!launch || isOver((await shown(launch.id)).state)) return
  await cancel(launch.id)
  await plane.reaches(launch.id, ['cancelled', 'ended'], 60_000)
}, 90_000)

const shown = (id: string) => plane.client.showLaunch({ params: { id } })
const cancel = (id: string) => plane.client.cancelLaunch({ params: { id } })
const resume = () => plane.client.pause({ body: { paused: false } })

/** How a launch comes to a state, and where it goes on to from there. */
interface Way {
  /** `slow` where it is left out; `broken` is so until it is mended. */
  readonly model?: 'slow' | 'broken' | 'absent' | 'stuck'
  /** What is asked of it once it is live. */
  readonly ends?: 'release' | 'cancel'
  /** `live` where it is left out. */
  readonly becomes?: LaunchState
}

// One entry for each state of the tables: a new state does not compile, and is not tested, until it has a way here.
const launchWays: Readonly<Record<LaunchState, Way>> = {
  queued: {},
  attempting: {},
  backing_off: { model: 'broken' },
  live: {},
  ending: { ends: 'release', becomes: 'ended' },
  ended: { ends: 'release', becomes: 'ended' },
  failed: { model: 'absent', becomes: 'failed' },
  cancelled: { ends: 'cancel', becomes: 'cancelled' },
  timed_out: { model: 'stuck', becomes: 'timed_out' },
}
// What is held is kept beside its replacement: test/e2e/hold-node.test.ts kills the control plane there.
const nodeWays: Readonly<Record<Exclude<NodeState, 'held'>, Way>> = {
  intended: {},
  requesting: {},
  booting: {},
  loading: {},
  ready: {},
  draining: { ends: 'release', becomes: 'ended' },
  releasing: { model: 'broken' },
  gone: { model: 'broken' },
}

type Case = readonly [what: string, state: string, held: Held, way: Way]
const cases: readonly Case[] = [
  ...statesOf(launchTable).map((state) => ['launch', state, ['launches', state], launchWays[state]] as const),
  ...statesOf(nodeTable)
    .filter((state) => state !== 'held')
    .map((state) => ['node', state, ['nodes', state], nodeWays[state]] as const),
]

/** Launches, and returns when a write has brought launch or node into the state; no loop acts from then on. */
async function comesTo([what, state, held, { model = 'slow', ends }]: Case): Promise<LaunchDetail> {
  await hold.at(held)
  const timeLimitS = model === 'stuck' ? 5 : 300
  launch = await plane.launched(model, { deployment: `${what}-${state}`.replaceAll('_', '-'), timeLimitS })
  if (ends) {
    const live = await plane.reaches(launch.id, ['live'], 60_000)
    if (ends === 'cancel') await cancel(launch.id)
    else await plane.client.releaseNode({ params: { id: (await plane.node(live)).id } })
  }
  await hold.holds()
  return launch
}

const stateOf = ([kind]: Held, { id }: LaunchDetail) => hold.stateOf(kind, id)

/** The nodes of all attempts: every account is whole, and what is over costs nothing any more. */
async function accountsAreWhole({ id }: LaunchDetail): Promise<void> {
  const { attempts, state } = await shown(id)
  for (const { nodeId } of attempts) {
    const node = await plane.client.showNode({ params: { id: nodeId } })
    ledgerIsWhole(node)
    if (isOver(state))
      expect([node.state, node.ledger.some(({ closedAt }) => closedAt === null)]).toEqual(['gone', false])
  }
}

/** All loops that look at machines have looked since. */
async function lookedSince(moment: number): Promise<void> {
  const looked = async () => {
    const { loops } = await plane.client.status()
    return loops
      .filter(({ loop }) => loop === 'sight' || loop === 'health')
      .every(({ lastPassAt }) => Date.parse(lastPassAt ?? '') > moment)
  }
  await until(looked, 60_000, () => 'the loops do not look')
}

test.for(cases)(
  'kill -9 of the control plane in the moment that a %s is %s: it goes on from there, with one engine at most at any moment',
  { timeout: 180_000 },
  async (one) => {
    const [, state, held, { model, becomes = 'live' }] = one
    const at = await comesTo(one)
    await plane.signal('SIGKILL')
    expect(await stateOf(held, at)).toBe(state)
    const engines = await plane.running('scripted-engine')
    writeFileSync(mended, '')
    await plane.start()
    expect(await stateOf(held, at)).toBe(state)

    await hold.lift()
    await resume()
    const resumedAt = Date.now()
    const there = await plane.reaches(at.id, [becomes], 90_000)
    if (isOver(becomes)) await lookedSince(resumedAt)
    expect((await shown(at.id)).state).toBe(becomes)
    expect(there.attempts).toHaveLength(model === 'broken' ? 2 : 1)
    const now = await plane.running('scripted-engine')
    expect([...now.values()].map((pids) => pids.length)).toEqual(becomes === 'live' ? [1] : [])
    // What served, or was about to, was not started anew.
    if (becomes === 'live' && model !== 'broken' && engines.size > 0) expect(now).toEqual(engines)
    await accountsAreWhole(at)
    if (becomes === 'live') {
      await cancel(at.id)
      await plane.reaches(at.id, ['cancelled'], 60_000)
      await accountsAreWhole(at)
    }
    expect(await plane.machines()).toEqual(new Map())
    expect(await watch.faults(await slotsOf(plane, [at.id]))).toEqual([])
  },
)

// What is on its way out already is cancelled a second time there.
const cancellable = cases
  .filter(([what, state]) => what === 'node' || !isOver(state as LaunchState))
  .map(([what, state, held, way]): Case => [what, state, held, way.ends ? { ...way, ends: 'cancel' } : way])

test.for(cancellable)(
  'a launch that is cancelled while a %s is %s is not shown as cancelled before no process is left and its ledger is closed',
  { timeout: 120_000 },
  async (one) => {
    const [, state, held] = one
    const at = await comesTo(one)
    expect(await stateOf(held, at)).toBe(state)
    expect((await cancel(at.id)).actions).toEqual([])
    // Nothing acts, so nothing has become of it yet.
    expect(await stateOf(held, at)).toBe(state)

    await hold.at(['launches', 'cancelled'])
    await resume()
    await hold.holds()
    expect(await plane.machines()).toEqual(new Map())
    expect((await cancel(at.id)).state).toBe('cancelled')
    await accountsAreWhole(at)
    expect(await watch.faults(await slotsOf(plane, [at.id]))).toEqual([])
  },
)
