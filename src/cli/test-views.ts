import type { LaunchDetail, NodeView } from '../wire/views.ts'
import { type Look, noPaint } from './terminal.ts'

/** Views for tests: a launch that began at `at(0)`, everything else at seconds after it. */
export const began = Date.parse('2026-03-01T12:00:00.000Z')
export const at = (seconds: number): string => new Date(began + seconds * 1_000).toISOString()
export const now = (seconds: number): number => began + seconds * 1_000

export const ascii = (columns: number, rows = 40): Look => ({ columns, rows, paint: noPaint, unicode: false })

export const offer: LaunchDetail['offers'][number] = {
  id: 'local:here:cpu',
  cloud: 'local',
  region: 'here',
  gpu: null,
  gpuCount: 0,
  vramGib: 0,
  spot: false,
  pricePerHourMicroUsd: 2_490_000,
  available: 4,
  standing: null,
}

/** As a cloud offers it now. */
export const offered = { ...offer, seenAt: at(0), stale: false }

type Attempt = LaunchDetail['attempts'][number]

export const attempt = (over: Partial<Attempt> = {}): Attempt => ({
  id: 'at-0000000001',
  ordinal: 1,
  offer,
  nodeId: 'no-0000000001',
  nodeName: 'fd-abcde-0000000001',
  nodeState: 'loading',
  openedAt: at(1),
  closedAt: null,
  outcome: null,
  failure: null,
  seconds: 9,
  costMicroUsd: 6_225,
  ...over,
})

type PhaseName = LaunchDetail['phase']

/** A phase of the attempt; `to` null while it is open. */
export const phase = (name: PhaseName, from: number, to: number | null, percent: number | null = null) => ({
  attemptId: name === 'queued' ? null : 'at-0000000001',
  phase: name,
  startedAt: at(from),
  endedAt: to === null ? null : at(to),
  percent,
  bytes: null,
  bytesPerS: null,
})

/** What the cloud of the attempt worked on; `to` null while it does. */
export const step = (name: PhaseName, text: string, from: number, to: number | null) => ({
  attemptId: 'at-0000000001',
  phase: name,
  text,
  startedAt: at(from),
  endedAt: to === null ? null : at(to),
})

export const launch = (over: Partial<LaunchDetail> = {}): LaunchDetail => ({
  id: 'la-0000000001',
  state: 'attempting',
  stateSince: at(1),
  deploymentId: 'de-0000000001',
  deployment: 'sim-small',
  slot: 0,
  model: 'sim-small',
  engine: 'sim',
  origin: 'hand',
  requestedBy: 'admin',
  createdAt: at(0),
  deadlineAt: at(1_800),
  endedAt: null,
  queuePlace: null,
  waitsFor: null,
  phase: 'weights_load',
  percent: 40,
  etaMs: 12_000,
  nodeId: 'no-0000000001',
  failure: null,
  endAskedBy: null,
  costMicroUsd: 6_225,
  actions: ['cancel'],
  wish: { clouds: [], regions: [], gpus: [], gpuCount: null, spot: 'allow', maxPricePerHourMicroUsd: null },
  engineArgs: {},
  attemptsAtMost: 4,
  timeLimitS: null,
  concurrency: null,
  offers: [offer],
  attempts: [attempt()],
  phases: [phase('queued', 0, 1), phase('requesting', 1, 3), phase('weights_load', 3, null, 50)],
  phasesToCome: [],
  steps: [],
  ...over,
})

export const queuedLaunch = (place: number): LaunchDetail =>
  launch({
    state: 'queued',
    phase: 'queued',
    percent: 0,
    etaMs: null,
    queuePlace: place,
    nodeId: null,
    attempts: [],
    phases: [phase('queued', 0, null)],
  })

export const liveLaunch = (): LaunchDetail =>
  launch({
    state: 'live',
    phase: 'ready',
    percent: 100,
    etaMs: 0,
    attempts: [attempt({ nodeState: 'ready', outcome: 'served' })],
    phases: [phase('queued', 0, 1), phase('requesting', 1, 3), phase('weights_load', 3, 10), phase('ready', 10, null)],
  })

export const engineFailure = {
  code: 'engine_failed',
  fault: 'node',
  retry: 'same',
  cause: 'The weights file is damaged.',
  remedy: 'Download the weights again.',
  evidence: 'Traceback\nSafetensorError: header too small\u001b[2J',
} as const

export const failedLaunch = (state: 'failed' | 'timed_out' | 'cancelled' = 'failed'): LaunchDetail =>
  launch({
    state,
    endedAt: at(12),
    failure: engineFailure,
    actions: [],
    attempts: [attempt({ nodeState: 'gone', outcome: 'failed', closedAt: at(11), failure: engineFailure })],
  })

export const node = (over: Partial<NodeView> = {}): NodeView => ({
  id: 'no-0000000001',
  name: 'fd-abcde-0000000001',
  state: 'ready',
  stateSince: at(10),
  billed: 'yes',
  verdict: 'healthy',
  verdictRow: 'serves',
  verdictSince: at(10),
  healthScore: 1,
  statusMessage: 'serving',
  launchId: 'la-0000000001',
  deploymentId: 'de-0000000001',
  deployment: 'sim-small',
  model: 'sim-small',
  engine: 'sim',
  offer,
  instanceType: null,
  spot: false,
  gpus: [],
  agentVersion: '0.1.0',
  agentProtocol: 2,
  agentStanding: 'current',
  engineVersion: null,
  signals: {
    heartbeat: { value: 'good', at: at(97), since: at(7), detail: null },
    probe: { value: 'good', at: at(80), since: at(10), detail: null },
    sighting: { value: 'unknown', at: null, since: null, detail: null },
  },
  inFlight: 2,
  createdAt: at(1),
  firstSeenAt: at(3),
  readyAt: at(10),
  goneAt: null,
  leaseUntil: at(14_400),
  notice: null,
  noticeServiceAnswers: null,
  gpuFaults: [],
  hold: null,
  drainUntil: null,
  failure: null,
  costMicroUsd: 66_400,
  actions: ['drain', 'release'],
  ...over,
})
