import { expect, test } from 'vitest'
import { failureRecord } from '../core/failure.ts'
import { defaultSignalAges } from '../core/health.ts'
import { launchStates } from '../core/launch-table.ts'
import { nodeStates } from '../core/node-table.ts'
import { leaseMsOf } from '../core/pace.ts'
import type { PhasePast } from '../core/phases.ts'
import { defaultRetryPolicy } from '../core/retry.ts'
import type { AttemptRow, LaunchRow } from '../store/read-launches.ts'
import type { NodeRow } from '../store/read-nodes.ts'
import { nodeView } from '../wire/views.ts'
import { offer } from './api-for-tests.ts'
import { presentLaunch, presentLaunchDetail } from './present-launch.ts'
import { presentNode } from './present-node.ts'

const now = 1_800_000_000_000

function launchRow(over: Partial<LaunchRow>): LaunchRow {
  return {
    id: 'la-1',
    state: 'attempting',
    stateSince: now - 1_000,
    deploymentId: 'de-1',
    deployment: 'd',
    slot: 1,
    model: 'm',
    engine: 'vllm',
    origin: 'hand',
    requestedBy: 'me',
    createdAt: now - 10_000,
    limitMs: 20_000,
    waitsCount: true,
    tried: [],
    endedAt: null,
    liveAt: null,
    unwantedAt: null,
    unwantedBy: null,
    failure: null,
    nodeId: 'no-1',
    nodeState: 'requesting',
    cloud: 'local',
    phase: null,
    phaseStartedAt: null,
    phaseEndedAt: null,
    phasePercent: null,
    wish: { clouds: [], regions: [], gpus: [], gpuCount: null, spot: 'allow', maxPricePerHourMicroUsd: null },
    offers: [{ ...offer, standing: null }],
    engineArgs: {},
    timeLimitS: null,
    concurrency: null,
    closedMicroUsd: 0,
    open: [],
    ...over,
  }
}

function nodeRow(over: Partial<NodeRow>): NodeRow {
  return {
    id: 'no-1',
    name: 'fd-a-1',
    state: 'ready',
    stateSince: now,
    verdict: 'healthy',
    verdictRow: null,
    verdictSince: null,
    replaceAskedAt: null,
    launchId: 'la-1',
    deploymentId: 'de-1',
    deployment: 'd',
    model: 'm',
    engine: 'vllm',
    offer,
    instanceType: null,
    spot: false,
    gpus: [],
    agentVersion: null,
    agentProtocol: null,
    engineVersion: null,
    addresses: [],
    hostname: null,
    createdAt: now,
    askedAt: null,
    firstSeenAt: null,
    joinedAt: null,
    readyAt: null,
    goneAt: null,
    unwantedAt: null,
    drainAskedAt: null,
    drainDeadlineAt: null,
    drainedAt: null,
    notice: null,
    noticeServiceAnswers: null,
    gpuFaults: [],
    holdUntil: null,
    holdBy: null,
    pricePerHourMicroUsd: 1_000_000,
    failure: null,
    signalsJudged: null,
    signalsSince: null,
    heardAt: null,
    heartbeat: null,
    inFlight: 0,
    probeAt: null,
    probeGood: null,
    probeDetail: null,
    seen: null,
    seenAt: null,
    phase: null,
    phasePercent: null,
    closedMicroUsd: 0,
    open: [],
    ...over,
  }
}

const past: PhasePast = new Map([
  ['requesting', 1_000],
  ['booting', 2_000],
  ['weights_load', 7_000],
])
const scene = (known: PhasePast) => ({
  now,
  queue: new Map([
    ['la-0', null],
    ['la-1', 'SkyPilot is busy'],
  ]),
  fullOf: (cloud: string | null) => (cloud === 'full' ? 'SkyPilot has no worker free' : null),
  pastOf: () => known,
  retry: defaultRetryPolicy,
})
const nodeScene = { now, signalAges: defaultSignalAges, leaseMs: 1_000, holdLimitS: 3_600 }
const message = (over: Partial<NodeRow>) => presentNode(nodeRow(over), nodeScene).statusMessage

test('the past gives the remaining time; without one there is a percentage and no promise', () => {
  const row = launchRow({ phase: 'weights_load', phaseStartedAt: now - 1_000, phasePercent: 50 })
  expect(presentLaunch(row, scene(past))).toMatchObject({ phase: 'weights_load', percent: 65, etaMs: 3_500 })
  const guess = presentLaunch(row, scene(new Map()))
  expect(guess.etaMs).toBeNull()
  expect(guess.percent).toBeGreaterThan(0)
})

test('the phases to come are those that the past knows, each with how long it usually takes, until the launch is live or ends', () => {
  const toCome = (row: Partial<LaunchRow>, known = past) =>
    presentLaunchDetail(launchRow(row), [], scene(known)).phasesToCome.map(({ phase, usualMs }) => [phase, usualMs])
  expect(toCome({ state: 'queued', nodeId: null, nodeState: null })).toEqual([...past])
  expect(toCome({ phase: 'booting', phaseStartedAt: now })).toEqual([['weights_load', 7_000]])
  expect(toCome({ phase: 'booting', phaseStartedAt: now }, new Map())).toEqual([])
  expect(toCome({ state: 'backing_off', nodeState: 'gone', phase: 'booting' })).toEqual([...past])
  expect(toCome({ state: 'live', liveAt: now })).toEqual([])
  expect(toCome({ state: 'failed', nodeState: 'gone', phase: 'booting', phaseStartedAt: now })).toEqual([])
})

test('a queued launch tells its place, and one that waits for a next try starts over', () => {
  const queued = presentLaunch(launchRow({ state: 'queued', nodeId: null, nodeState: null }), scene(past))
  expect(queued).toMatchObject({ phase: 'queued', queuePlace: 2, waitsFor: 'SkyPilot is busy' })
  const waiting = presentLaunch(launchRow({ state: 'backing_off', nodeState: 'gone', phase: 'booting' }), scene(past))
  expect(waiting).toMatchObject({ phase: 'queued', queuePlace: null, waitsFor: null })
  const held = presentLaunch(launchRow({ state: 'backing_off', nodeState: 'gone', cloud: 'full' }), scene(past))
  expect(held.waitsFor).toBe('SkyPilot has no worker free')
})

test('a launch that failed stands where it was stopped and promises nothing; one that was live stands at its end', () => {
  const stopped = {
    state: 'failed',
    nodeState: 'gone',
    phase: 'booting',
    phaseStartedAt: now - 9_000,
    phaseEndedAt: now - 8_000,
  } as const
  expect(presentLaunch(launchRow(stopped), scene(past))).toMatchObject({ phase: 'booting', percent: 20, etaMs: null })
  const later = presentLaunch(launchRow(stopped), { ...scene(past), now: now + 60_000 })
  expect(later.percent).toBe(20)
  expect(presentLaunch(launchRow({ state: 'ended', liveAt: now }), scene(past))).toMatchObject({ percent: 100 })
})

test('only a launch whose table knows a way out, and that is not on it, can be cancelled', () => {
  const cancellable = launchStates.filter(
    (state) => presentLaunch(launchRow({ state }), scene(past)).actions.length > 0,
  )
  expect(cancellable).toEqual(['queued', 'attempting', 'backing_off', 'live'])
  const unwanted = presentLaunch(launchRow({ unwantedAt: now, unwantedBy: 'ada' }), scene(past))
  expect(unwanted).toMatchObject({ actions: [], endAskedBy: 'ada' })
})

test('only a ready node drains, once, and what is on its way out is not released again', () => {
  const actions = Object.fromEntries(
    nodeStates.map((state) => [state, presentNode(nodeRow({ state }), nodeScene).actions.join(' ')]),
  )
  expect(actions).toEqual({
    intended: 'release hold',
    requesting: 'release hold',
    booting: 'release hold',
    loading: 'release hold',
    ready: 'drain release hold',
    draining: 'release hold',
    held: 'release hold',
    releasing: '',
    gone: '',
  })
  expect(presentNode(nodeRow({ drainAskedAt: now }), nodeScene).actions).toEqual(['release', 'hold'])
})

test('a node says in plain words what it does, and why it ended', () => {
  expect(message({ state: 'requesting', askedAt: now })).toBe('asked for, not seen yet')
  expect(message({ state: 'loading', phase: 'weights_load', phasePercent: 40.4 })).toBe('weights_load 40 %')
  expect(message({ inFlight: 3 })).toBe('serving, 3 in flight')
  expect(message({ verdict: 'suspect' })).toBe('gets no requests: suspect')
  expect(message({ verdict: 'suspect', replaceAskedAt: now })).toContain('another machine is to take its place')
  expect(message({ state: 'draining', inFlight: 2 })).toBe('draining, 2 left')
  const failure = failureRecord('engine_failed', 'Out of memory.')
  expect(message({ state: 'releasing', failure })).toBe('being released: Out of memory.')
})

test('a notice is shown with its time and the end of the drain, and a machine that is left to its cloud says why', () => {
  const notice = { source: 'aws', kind: 'reclaim', action: 'terminate', toldAt: now, takenAt: now + 120_000 } as const
  const row = { notice, noticeServiceAnswers: true, spot: true, firstSeenAt: now - 60_000 }
  const shown = presentNode(nodeRow({ ...row, state: 'draining', inFlight: 1 }), nodeScene)
  expect(shown.notice).toMatchObject({ source: 'aws', takenAt: new Date(now + 120_000).toISOString() })
  expect(shown.drainUntil).toBe(new Date(now + 110_000).toISOString())
  expect(shown.statusMessage).toBe('draining for a notice (terminate), 1 left')
  expect(message({ ...row })).toBe('gets no requests: the machine is taken (terminate)')
  const drained = { ...row, state: 'draining' as const, drainedAt: now }
  expect(message(drained)).toMatch(/left to its cloud to end, which makes its first hour free/)
  expect(message({ ...drained, spot: false })).toBe('draining for a notice (terminate), nothing in flight')
  expect(message({ notice: { ...notice, kind: 'rebalance' } })).toBe('serving, idle')
})

test('a hold is shown with what it costs until its end, and one that is over, or of a node that leaves, is none', () => {
  const holds = { holdUntil: now + 1_800_000, holdBy: 'ann', pricePerHourMicroUsd: 3_600_000 }
  const shown = (over: Partial<NodeRow>) => nodeView.encode(presentNode(nodeRow({ ...holds, ...over }), nodeScene))
  const until = new Date(now + 1_800_000).toISOString()
  const hold = { until, by: 'ann', isKept: false, pricePerHourMicroUsd: 3_600_000, costMicroUsd: 1_800_000 }
  expect(shown({}).hold).toEqual(hold)
  expect(shown({ state: 'held' }).hold).toEqual({ ...hold, isKept: true })
  expect(shown({ holdUntil: now }).hold).toBeNull()
  expect(shown({ state: 'releasing' }).hold).toBeNull()
  const failure = failureRecord('engine_failed', 'Out of memory.')
  expect(message({ ...holds, state: 'held', failure })).toBe('kept for ann to look at: Out of memory.')
  expect(shown({ state: 'held' }).actions).toEqual(['release', 'hold'])
})

test('a faulty GPU is shown with its line and what it leads to, and why the node gets no requests', () => {
  const fault = { source: 'xid', xid: 79, gpu: 'GPU-1', evidence: 'NVRM: Xid 79', toldAt: now }
  const gpuFaults = [fault, { ...fault, xid: 31 }]
  const shown = nodeView.encode(presentNode(nodeRow({ gpuFaults }), nodeScene))
  expect(shown.gpuFaults.map(({ means, action, evidence }) => [means, action, evidence])).toEqual([
    ['XID 79 (GPU has fallen off the bus), GPU-1', 'replace', 'NVRM: Xid 79'],
    ['XID 31 (page fault in GPU memory), GPU-1', 'engine', 'NVRM: Xid 79'],
  ])
  const cause = 'A GPU of the machine is faulty: XID 79 (GPU has fallen off the bus), GPU-1.'
  expect(message({ gpuFaults })).toBe(`gets no requests: ${cause}`)
  expect(message({ gpuFaults, state: 'draining' })).toBe(`draining (${cause}), nothing in flight`)
  expect(message({ gpuFaults: gpuFaults.slice(1) })).toBe('serving, idle')
})

test('a GPU that an agent of before told of has no UUID, and is shown all the same', () => {
  const told = { name: 'L4', index: 0, memoryMib: 1, utilizationPercent: null, memoryUsedMib: null, temperatureC: null }
  const shown = presentNode(nodeRow({ gpus: [told] }), nodeScene)
  expect(nodeView.encode(shown).gpus).toEqual([{ ...told, uuid: null }])
})

test('a signal that is too old is unknown and keeps its age; a node that is gone has no lease', () => {
  const old = presentNode(nodeRow({ heardAt: now - defaultSignalAges.heartbeatMs - 1 }), nodeScene)
  expect(old.signals.heartbeat).toMatchObject({ value: 'unknown', at: expect.any(String) })
  const heardAt = now - defaultSignalAges.heartbeatMs - 1
  expect(old.leaseUntil).toBe(new Date(heardAt + leaseMsOf(1_000, old.id)).toISOString())
  expect(presentNode(nodeRow({ state: 'gone', heardAt: now }), nodeScene).leaseUntil).toBeNull()
})

test('a signal tells since when it says that: as it was judged, else by the last word, and silence since that went stale', () => {
  const { heartbeatMs } = defaultSignalAges
  const told = { probeAt: now - 3_000, probeGood: false, readyAt: 0, seen: 'present', seenAt: now - 7_000 } as const
  const judged = { heartbeat: 'good', probe: 'bad', sighting: 'unknown' } as const
  const signalsSince = { heartbeat: now - 900_000, probe: now - 600_000, sighting: null }
  const row = nodeRow({ ...told, heardAt: now - heartbeatMs - 5_001, signalsJudged: judged, signalsSince })
  const { heartbeat, probe, sighting } = nodeView.encode(presentNode(row, nodeScene)).signals
  const at = (ms: number) => new Date(ms).toISOString()
  expect(probe).toMatchObject({ value: 'bad', at: at(now - 3_000), since: at(now - 600_000) })
  expect(sighting).toMatchObject({ value: 'good', since: at(now - 7_000) })
  expect(heartbeat).toMatchObject({ value: 'unknown', since: at(now - 5_000) })
})

test('what was spent is the closed intervals and the open one until now', () => {
  const open = [{ pricePerHourMicroUsd: 3_600_000, since: now - 10_000 }]
  expect(presentNode(nodeRow({ closedMicroUsd: 5, open }), nodeScene).costMicroUsd).toBe(10_005)
})

const attemptRow = (of: Partial<AttemptRow>): AttemptRow => {
  const node = { nodeId: 'no-1', nodeName: 'fd-a-1', nodeState: 'booting' as const }
  const over = { closedAt: null, outcome: null, failure: null, closedMicroUsd: 0, open: [] }
  return { id: 'at-1', ordinal: 1, offer, ...node, openedAt: 0, ...over, phases: [], steps: [], ...of }
}

test('a launch on its way says how many attempts there may be at most, one that serves or ended how many there were', () => {
  const offers = ['a', 'b'].map((id) => ({ ...offer, id, standing: null }))
  const most = (row: Partial<LaunchRow>, attempts: readonly AttemptRow[]) =>
    presentLaunchDetail(launchRow({ offers, ...row }), attempts, scene(past)).attemptsAtMost
  const full = attemptRow({ closedAt: now, outcome: 'failed', failure: failureRecord('no_capacity', 'Full.') })
  const runs = attemptRow({ ordinal: 2 })
  // Two offers, two rounds, two tries each; what is full is not tried a second time at once.
  expect(most({}, [attemptRow({})])).toBe(8)
  expect(most({}, [full, runs])).toBe(7)
  expect(most({ state: 'failed' }, [full, full])).toBe(2)
  expect(most({ state: 'live' }, [full, runs])).toBe(2)
})

function stepsOf(phases: AttemptRow['phases'], steps: AttemptRow['steps']) {
  const attempt = attemptRow({ phases, steps })
  const detail = presentLaunchDetail(launchRow({}), [attempt], {
    now,
    queue: new Map(),
    fullOf: () => null,
    pastOf: () => new Map(),
    retry: defaultRetryPolicy,
  })
  return detail.steps.map(({ phase, text, startedAt, endedAt }) => [
    phase,
    text,
    Date.parse(startedAt),
    endedAt === null ? null : Date.parse(endedAt),
  ])
}

const phaseAt = (phase: string, startedAt: number, endedAt: number | null) => ({
  phase,
  startedAt,
  endedAt,
  percent: null,
  bytes: null,
  bytesPerS: null,
})

test('each step lasts until the next one, also from one phase to another, and the last one until the machine speaks', () => {
  const steps = [
    { text: 'Launching', startedAt: 1_000 },
    { text: 'Job submitted', startedAt: 5_000 },
  ]
  const booting = [phaseAt('requesting', 0, 2_000), phaseAt('booting', 2_000, null)]
  expect(stepsOf(booting, steps)).toEqual([
    ['requesting', 'Launching', 1_000, 5_000],
    ['booting', 'Job submitted', 5_000, null],
  ])
  const joined = [phaseAt('requesting', 0, 2_000), phaseAt('booting', 2_000, 9_000), phaseAt('joined', 9_000, null)]
  expect(stepsOf(joined, steps).at(-1)).toEqual(['booting', 'Job submitted', 5_000, 9_000])
  const given = [phaseAt('requesting', 0, 2_000), phaseAt('booting', 2_000, 7_000)]
  expect(stepsOf(given, steps).at(-1)).toEqual(['booting', 'Job submitted', 5_000, 7_000])
})
