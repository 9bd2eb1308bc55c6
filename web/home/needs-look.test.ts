import { expect, test } from 'vitest'
import type { DeploymentView, LaunchView, StatusView } from '../../src/wire/views.ts'
import { needsLook, type Scene } from './needs-look.ts'

const now = Date.parse('2026-03-01T12:00:00.000Z')
const ago = (ms: number): string => new Date(now - ms).toISOString()

const deployment = (over: Partial<DeploymentView>): DeploymentView => ({
  id: 'de-1',
  name: 'chat',
  model: 'm',
  engine: 'vllm',
  source: null,
  wanted: 2,
  ready: 2,
  starting: 0,
  paused: false,
  failuresInARow: 0,
  stopped: null,
  spentMicroUsd: 0,
  createdAt: ago(1_000),
  wish: { clouds: [], regions: [], gpus: [], gpuCount: null, spot: 'allow', maxPricePerHourMicroUsd: null },
  engineArgs: {},
  timeLimitS: null,
  concurrency: null,
  ...over,
})

const loop = (over: Partial<StatusView['loops'][number]>): StatusView['loops'][number] => ({
  loop: 'node',
  server: 's1',
  lastPassAt: ago(90_000),
  tookMs: 3,
  moved: 0,
  everyMs: 5_000,
  late: false,
  paused: false,
  error: null,
  ...over,
})

const gateway = { id: 'g1', url: 'http://127.0.0.1:1', seenAt: ago(0), tableCurrent: true }

const scene = (over: Partial<Scene> = {}, status: Partial<StatusView> = {}): Scene => ({
  status: {
    orphans: [],
    sweepArmed: false,
    silentClouds: [],
    loops: [loop({})],
    gateways: [gateway],
    ...status,
  } as unknown as StatusView,
  deployments: [deployment({})],
  failed: [],
  clouds: [],
  now,
  ...over,
})

const told = (of: Scene) => needsLook(of).map(({ shape, subject, text }) => `${shape} ${subject} ${text}`)

test('where all is well nothing is told', () => {
  expect(told(scene())).toEqual([])
  expect(
    told(scene({ deployments: [deployment({ wanted: 0, ready: 0 }), deployment({ ready: 1, starting: 1 })] })),
  ).toEqual([])
})

test('a deployment is told of when it stopped, is paused, or has too few and none on the way', () => {
  const of = (over: Partial<DeploymentView>) => told(scene({ deployments: [deployment(over)] }))
  expect(of({ stopped: '3 failures in a row.' })).toEqual([
    'bad chat stopped refilling by itself: 3 failures in a row.',
  ])
  expect(of({ paused: true })).toEqual(['doubtful chat is paused with 2 of 2 ready'])
  expect(of({ ready: 1 })).toEqual(['doubtful chat has 1 of 2 ready, and none is starting'])
  expect(of({ ready: 0 })).toEqual(['bad chat has 0 of 2 ready, and none is starting'])
})

test('a failed launch is told of for half a day', () => {
  const failed = (endedAt: string) =>
    ({ id: 'la-1', model: 'm', state: 'timed_out', endedAt, failure: { cause: 'Too slow.' } }) as LaunchView
  expect(told(scene({ failed: [failed(ago(60_000)), failed(ago(13 * 3_600_000))] }))).toEqual([
    'doubtful Launch of m timed out: Too slow.',
  ])
})

test('clouds that are silent, loops that fail or are late, gateways and lost machines are told of, the worst first', () => {
  const failure = { code: 'x', fault: 'cloud', retry: 'later', cause: 'It is down.', remedy: 'Wait.' } as const
  const clouds = [
    { cloud: 'aws', readAt: ago(60_000), stale: true, failedAt: ago(0), failure, credentials: 'unknown' as never },
  ]
  const status: Partial<StatusView> = {
    orphans: [{ name: 'fd-1', cloud: 'gcp', firstSeenAt: ago(0), pricePerHourMicroUsd: null, releasing: false }],
    silentClouds: [{ name: 'gcp', lookedAt: null, problem: 'no answer' }],
    loops: [loop({ late: true }), loop({ loop: 'sight', error: 'boom' })],
    gateways: [{ ...gateway, tableCurrent: false }],
  }
  expect(told(scene({ clouds }, status))).toEqual([
    'bad fd-1 is a machine at gcp that no row knows; it is left alone until the sweep is armed',
    'bad gcp does not say which machines run: no answer',
    'bad The sight loop fails: boom',
    'doubtful aws does not say what it offers (its offers are from 1m00s ago): It is down. Wait.',
    'doubtful The node loop is late: its last pass was 1m30s ago',
    'doubtful http://127.0.0.1:1 routes by a table that is not the newest',
  ])
  expect(told(scene({}, { gateways: [] }))).toEqual(['bad No gateway reports, so no request is routed'])
})
