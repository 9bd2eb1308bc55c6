import { expect, test } from 'vitest'
import { guardKinds } from '../core/guard.ts'
import { nodeStates } from '../core/node-table.ts'
import type { NodeView, StatusView } from '../wire/views.ts'
import { failureText } from './exit.ts'
import { statusText, unknownText } from './fleet-text.ts'
import { launchesText, launchText } from './launch-text.ts'
import { nodesText, nodeText } from './node-text.ts'
import { widthOf } from './plain-text.ts'
import { planText } from './plan-text.ts'
import { ascii, at, attempt, engineFailure, failedLaunch, launch, node, now, offered, step } from './test-views.ts'

const wide = ascii(Number.POSITIVE_INFINITY)

test('nodes show state, verdict, the three signals with their ages, load and money', () => {
  expect(nodesText([node(), node({ name: 'fd-abcde-2', verdict: 'suspect', billed: 'unknown' })], now(100), wide)).toBe(
    `NODE                 STATE        VERDICT  HEARTBEAT  PROBE     SIGHTING  IN FLIGHT  PER HOUR  BILLED      COST  DEPLOYMENT  SAYS
fd-abcde-0000000001  ready 1m30s  healthy  good 3s    good 20s  unknown           2   $2.4900  yes      $0.0664  sim-small   serving
fd-abcde-2           ready 1m30s  suspect  good 3s    good 20s  unknown           2   $2.4900  unknown  $0.0664  sim-small   serving
`,
  )
})

const status: StatusView = {
  ...{ install: 'abcde', version: '1', paused: false, pausedReason: null, guard: null, guardHolds: [] },
  ...{ loops: [], gateways: [], silentClouds: [], orphans: [], sweepArmed: true, burnPerHourMicroUsd: 0 },
  nodes: Object.fromEntries(nodeStates.map((state) => [state, 0])) as StatusView['nodes'],
  fleet: { wrong: 0, starting: 0, leaving: 0, ready: 0, inFlight: 0 },
  database: { kind: 'embedded', poolSize: 1, waitingNow: 0, longestWaitMs: 0 },
}

test('the status says of each loop whether it fails, is paused, is late or is well', () => {
  const loop = { loop: 'node', server: 'a', lastPassAt: at(90), tookMs: 1, moved: 0, everyMs: 1_000, error: null }
  const stateOf = (over: object) => {
    const loops = [{ ...loop, late: false, paused: false, ...over }]
    return /^node .*?(\S+)$/m.exec(statusText({ ...status, loops }, now(100), wide))?.[1]
  }
  expect(stateOf({})).toBe('ok')
  expect(stateOf({ late: true })).toBe('late')
  expect(stateOf({ paused: true })).toBe('paused')
  expect(stateOf({ paused: true, error: 'broken' })).toBe('broken')
})

test('the status says for how long the guard holds and why, and once it does no more, when it did last', () => {
  const guardOf = (over: Partial<StatusView>) =>
    /^guard +(.*)$/m.exec(statusText({ ...status, ...over }, now(100), wide))?.[1]
  const hold = { guard: guardKinds[0], reason: 'It has just started.', since: at(10), until: null }
  expect(guardOf({})).toBeUndefined()
  expect(guardOf({ guard: hold.reason, guardHolds: [hold] })).toBe('It has just started. For 1m30s.')
  expect(guardOf({ guardHolds: [{ ...hold, until: at(70) }] })).toBe('held 30s ago for 1m00s: It has just started.')
})

test('no line of a table is wider than the screen', () => {
  const long = launch({ model: 'organisation/'.repeat(8), failure: { ...engineFailure, cause: 'word '.repeat(60) } })
  for (const columns of [20, 40, 60, 80, 120]) {
    for (const text of [
      launchesText([long, failedLaunch()], now(60), ascii(columns)),
      nodesText([node()], now(60), ascii(columns)),
    ]) {
      for (const line of text.split('\n')) expect(widthOf(line)).toBeLessThanOrEqual(columns)
    }
  }
})

test('a name that carries escape codes cannot move the cursor', () => {
  const text = nodesText([node({ deployment: '\u001b[2Jevil', statusMessage: 'a\rb' })], now(60), wide)
  expect(text).not.toContain('\u001b')
  expect(text).not.toContain('\r')
})

test('a failed launch shows attempts, cause, remedy, evidence, phases as bars, and cost', () => {
  expect(launchText(failedLaunch(), now(23), ascii(80))).toBe(
    `launch      la-0000000001
state       failed for 22s
model       sim-small (sim)
deployment  sim-small, slot 0
asked by    admin 23s ago (hand)
node        fd-abcde-0000000001
cost        $0.0062

attempts
1  local here, $2.4900/h  fd-abcde-0000000001  failed  9.0s  $0.0062
   class: engine_failed (node, retry same)
   cause: The weights file is damaged.
   remedy: Download the weights again.

phases
  queued              1.0s ==
  requesting          2.0s   ====
  weights load         20s       ==========================================

error: The weights file is damaged.
  | Traceback
  | SafetensorError: header too small
what to do: Download the weights again.
(code engine_failed)
`,
  )
})

test('each attempt shows what was worked on inside, its class, and the text that says why', () => {
  const failure = {
    code: 'no_capacity',
    fault: 'cloud',
    retry: 'elsewhere',
    cause: 'Full.',
    remedy: 'Elsewhere.',
  } as const
  const evidence = Array.from({ length: 20 }, (_, i) => `line ${i}\u001b[2J`).join('\n')
  const first = attempt({ outcome: 'failed', failure: { ...failure, evidence } })
  const second = attempt({ id: 'at-0000000002', ordinal: 2, nodeName: 'fd-abcde-0000000002' })
  const steps = [step('requesting', 'Launching on AWS us-east-1 (us-east-1b).', 1, 31)]
  const text = launchText(launch({ attempts: [first, second], steps }), now(40), ascii(100))
  expect(text).toContain(`attempts
1  local here, $2.4900/h  fd-abcde-0000000001  failed  9.0s  $0.0062
       30s  Launching on AWS us-east-1 (us-east-1b).
   class: no_capacity (cloud, retry elsewhere)
   cause: Full.
   remedy: Elsewhere.
   | line 0`)
  expect(text).toContain('   | ... 8 more lines, see --json\n2  local here')
  expect(text).not.toContain('\u001b')
})

test('what ended an attempt is shown with it alone while the launch goes on, with its text; once it is over, below', () => {
  const failure = { ...engineFailure, evidence: 'SafetensorError: header too small' }
  const first = attempt({ outcome: 'failed', failure })
  const second = attempt({ id: 'at-0000000002', ordinal: 2, nodeName: 'fd-abcde-0000000002' })
  for (const state of ['attempting', 'backing_off'] as const) {
    const text = launchText(launch({ state, attempts: [first, second], failure }), now(40), ascii(100))
    expect(text).not.toContain('error:')
    expect(text).toMatch(/class: engine_failed[\s\S]*\| SafetensorError[\s\S]*\n2 {2}local here/)
  }
  const over = launchText(launch({ state: 'failed', attempts: [first], failure }), now(40), ascii(100))
  expect(over).toMatch(/error: The weights file is damaged\.\n {2}\| SafetensorError/)
  expect(over.match(/SafetensorError/g)).toHaveLength(1)
})

test('texts that nobody has seen before are shown as they came, with how often', () => {
  const seen = {
    cloud: 'aws',
    type: 'OddError',
    message: 'a\nb',
    times: 3,
    firstAt: at(0),
    lastAt: at(10),
    launchId: 'la-1',
  }
  expect(unknownText([seen], now(20), ascii(80))).toBe('aws  3x, last 10s ago in la-1\n   | OddError: a\n   | b\n')
  expect(unknownText([], now(20), ascii(80))).toMatch(/nothing that nobody has seen/)
})

test('a plan says what it costs an hour and a month, and that nothing was started', () => {
  const plan = {
    model: 'sim-small',
    engine: 'sim',
    argv: ['sim', '--port', '{port}'],
    deployment: 'sim-small',
    becomes: { id: 'de-1', wantedFrom: 1, wantedTo: 2 },
    offers: [
      {
        ...offered,
        fit: null,
        unchecked: null,
        setups: { does: null, instead: null },
        readyIn: null,
        pricePerMonthMicroUsd: 1_817_700_000,
        totalPerHourMicroUsd: 2_490_000,
        totalPerMonthMicroUsd: 1_817_700_000,
        reasons: [],
        lately: null,
      },
    ],
    refusals: [],
    hubToken: 'not_needed' as const,
    clouds: [],
    pricePerHourMicroUsd: 2_490_000,
    pricePerMonthMicroUsd: 1_817_700_000,
    replicas: 1,
    totalPerHourMicroUsd: 2_490_000,
    totalPerMonthMicroUsd: 1_817_700_000,
    timeLimitS: 1_800,
    timeLimitCountsWaits: true,
    queuePlace: 0,
    warnings: [],
  }
  expect(planText(plan, now(0), ascii(80))).toBe(
    `would launch  sim-small (sim)
deployment    sim-small, which wants 2 instead of 1
cost          $2.4900 an hour, $1817.70 a month
time limit    30m00s in all, as asked for
queue         starts at once
engine        sim --port {port}
offers, in the order they would be tried
  1  local here, $2.4900/h, $1817.70 a month
Nothing was started.
`,
  )
})

test('one node shows who witnessed what, what was paid for, and what happened', () => {
  const detail = {
    ...node({ verdict: 'degraded', verdictRow: 'cloud-disagrees' }),
    addresses: [],
    hostname: 'box',
    ledger: [
      { duty: 'serving', openedAt: at(10), closedAt: null, pricePerHourMicroUsd: 2_490_000, costMicroUsd: 60_000 },
    ],
    timeline: [{ id: 1, at: at(10), kind: 'node_ready', text: 'The node is ready.', nodeId: null, launchId: null }],
  } as const
  const text = nodeText(
    { ...detail, ledger: [...detail.ledger], timeline: [...detail.timeline], addresses: [], holdChoices: [] },
    now(100),
    ascii(100),
  )
  expect(text).toContain('verdict     degraded by the row cloud-disagrees')
  expect(text).toContain('heartbeat   good for 1m33s, last word 3s ago')
  expect(text).toContain('serving   1m30s   $2.4900  $0.0600  running')
  expect(text).toContain('1m30s ago  The node is ready.')
})

test('a node shows what was announced of its end, or that nobody would announce it', () => {
  const rest = { addresses: [], hostname: null, holdChoices: [], ledger: [], timeline: [] }
  const line = (over: Partial<NodeView>) =>
    /^notice +(.*)$/m.exec(nodeText({ ...node(over), ...rest }, now(100), ascii(100)))?.[1]
  const notice = { source: 'aws', kind: 'reclaim', action: 'terminate', toldAt: at(90), takenAt: at(210) } as const
  expect(line({ notice, drainUntil: at(200) })).toBe('aws: terminate, taken in 1m50s; requests have 1m40s')
  expect(line({ notice: { ...notice, kind: 'rebalance' } })).toBe('aws: at a higher risk of being taken')
  expect(line({ noticeServiceAnswers: false })).toBe('its cloud cannot be asked for notices')
  expect(line({})).toBeUndefined()
})

test('a node shows until when it is kept, for whom, and what that costs', () => {
  const rest = { addresses: [], hostname: null, holdChoices: [], ledger: [], timeline: [] }
  const line = (over: Partial<NodeView>) =>
    /^hold +(.*)$/m.exec(nodeText({ ...node(over), ...rest }, now(100), ascii(100)))?.[1]
  const hold = { until: at(3_700), by: 'ann', isKept: true, pricePerHourMicroUsd: 2_490_000, costMicroUsd: 2_490_000 }
  expect(line({ hold })).toBe('kept for 1h00m more, for ann: $2.4900/h, $2.4900 until then')
  expect(line({ hold: { ...hold, isKept: false, by: null } })).toBe(
    'kept for the next 1h00m, should it fail or drain: $2.4900/h, $2.4900 until then',
  )
  expect(line({})).toBeUndefined()
})

test('a node shows what was said of its GPUs, the line itself, and what it leads to', () => {
  const rest = { addresses: [], hostname: null, holdChoices: [], ledger: [], timeline: [] }
  const fault = { source: 'xid', xid: 79, gpu: 'GPU-1', evidence: 'NVRM: Xid 79, fallen', toldAt: at(90) }
  const told = (heldBack: boolean) => [
    { ...fault, heldBack, means: 'XID 79 (GPU has fallen off the bus), GPU-1', action: 'replace' as const },
  ]
  const text = (heldBack: boolean) =>
    nodeText({ ...node({ gpuFaults: told(heldBack) }), ...rest }, now(100), ascii(100))
  expect(text(false)).toContain(
    'GPU faults\n  10s ago  XID 79 (GPU has fallen off the bus), GPU-1: the machine is replaced\n    NVRM: Xid 79, fallen\n',
  )
  expect(text(true)).toContain('GPU-1: the machine is replaced when its turn comes\n')
  expect(nodeText({ ...node({}), ...rest }, now(100), ascii(100))).not.toContain('GPU faults')
})

test('an error says cause, remedy, code and request', () => {
  expect(failureText({ record: { ...engineFailure, evidence: undefined }, requestId: 'req-1' }, ascii(80))).toBe(
    'error: The weights file is damaged.\nwhat to do: Download the weights again.\n(code engine_failed, request req-1)\n',
  )
})
