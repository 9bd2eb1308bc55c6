import assert from 'node:assert/strict'
import { test } from 'vitest'
import { agentMetrics } from './metrics.ts'

const known = { index: 0, uuid: null, name: 'H100', memoryMib: 81_559, temperatureC: null }
const gpu = { ...known, utilizationPercent: 40, memoryUsedMib: 2 }
const figures = {
  machine: 'fd-abcde-0000000001',
  engine: { state: 'serving', version: null, restarts: 2, failure: null },
  load: { inFlight: 3, busyMs: 1_500, requests: 7, spareSockets: 1, waiting: null, kvPercent: null },
  sockets: 4,
  leaseLeftMs: 60_000,
  draining: true,
  gpus: [gpu],
} as const

test('figures are told in base units, one type for each name, and what is not known is left out', () => {
  const page = agentMetrics(figures)
  for (const line of [
    'flightdeck_agent_engine_state{state="serving"} 1',
    'flightdeck_agent_engine_restarts_total 2',
    'flightdeck_agent_busy_seconds_total 1.5',
    'flightdeck_agent_draining 1',
    'flightdeck_agent_gpu_utilization_ratio{gpu="0"} 0.4',
    'flightdeck_agent_gpu_memory_used_bytes{gpu="0"} 2097152',
  ])
    assert.ok(page.split('\n').includes(line), line)
  assert.ok(!page.includes('temperature'))
  const types = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
  assert.equal(new Set(types).size, types.length)
})
