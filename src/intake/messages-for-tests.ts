import { agentProtocol } from '../core/agent-protocol.ts'
import type { Heartbeat, JoinRequest, NoticeReport, ProgressReport } from '../wire/agent.ts'
import type { GatewayReport } from '../wire/gateway.ts'

/** Messages as a well-behaved machine sends them; a test changes what it is about. */
export const joinRequest = (over: Partial<JoinRequest> = {}): JoinRequest => ({
  protocol: agentProtocol,
  instance: 'instance-one',
  incarnation: 'incarnation-1',
  agentVersion: '0.1.0',
  hardware: { hostname: 'box', cpus: 8, memoryMib: 32_000, gpus: [], instanceType: null },
  ...over,
})

export const gpu = (name: string, memoryMib: number, index = 0) => ({
  index,
  uuid: `GPU-${index}`,
  name,
  memoryMib,
  utilizationPercent: 0,
  memoryUsedMib: 0,
  temperatureC: 40,
})

export const load = (over: Partial<Heartbeat['load']> = {}): Heartbeat['load'] => ({
  inFlight: 0,
  busyMs: 0,
  requests: 0,
  spareSockets: 0,
  waiting: null,
  kvPercent: null,
  ...over,
})

export const heartbeat = (over: Partial<Heartbeat> = {}): Heartbeat => ({
  protocol: agentProtocol,
  incarnation: 'incarnation-1',
  previous: null,
  agentVersion: '0.1.0',
  engine: { state: 'serving', version: '1.0', restarts: 0, failure: null },
  load: load({ spareSockets: 1 }),
  gpus: [],
  gpuFaults: [],
  draining: false,
  drained: false,
  ...over,
})

export const progress = (over: Partial<ProgressReport> = {}): ProgressReport => ({
  protocol: agentProtocol,
  incarnation: 'incarnation-1',
  previous: null,
  phases: [],
  lines: [],
  answeredAgoMs: null,
  failure: null,
  ...over,
})

export const noticeReport = (over: Partial<NoticeReport> = {}): NoticeReport => ({
  protocol: agentProtocol,
  incarnation: 'incarnation-1',
  previous: null,
  serviceAnswers: true,
  notice: null,
  ...over,
})

export const gatewayReport = (over: Partial<GatewayReport> = {}): GatewayReport => ({
  gatewayId: 'gw-1',
  url: 'http://127.0.0.1:8001',
  fingerprint: null,
  startedAt: '2026-03-01T11:00:00.000Z',
  tableVersion: null,
  batch: null,
  usage: [],
  probes: [],
  nodes: [],
  secondHolders: [],
  ...over,
})
