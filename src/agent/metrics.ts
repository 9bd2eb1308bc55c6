import { version } from '../core/version.ts'
import type { Gpu, Heartbeat } from '../wire/agent.ts'

export interface AgentFigures {
  readonly machine: string
  readonly engine: Heartbeat['engine']
  readonly load: Heartbeat['load']
  readonly sockets: number
  readonly leaseLeftMs: number
  readonly draining: boolean
  readonly gpus: readonly Gpu[]
}

type Samples = readonly (readonly [labels: string, value: number])[]
const one = (value: number): Samples => [['', value]]
const mib = 1_048_576

/** The agent's own figures in Prometheus' text format. By hand, for the agent holds no npm package. */
export function agentMetrics({ machine, engine, load, sockets, leaseLeftMs, draining, gpus }: AgentFigures): string {
  const perGpu = (value: (gpu: Gpu) => number | null): Samples =>
    gpus.flatMap((gpu) => {
      const known = value(gpu)
      return known === null ? [] : [[`{gpu="${gpu.index}"}`, known] as const]
    })
  const share = ({ utilizationPercent: percent }: Gpu) => (percent === null ? null : percent / 100)
  const used = ({ memoryUsedMib }: Gpu) => (memoryUsedMib === null ? null : memoryUsedMib * mib)
  const figures: [name: string, kind: 'gauge' | 'counter', help: string, samples: Samples][] = [
    ['info', 'gauge', 'Which agent this is.', [[`{version="${version}",node="${machine}"}`, 1]]],
    ['engine_state', 'gauge', 'The state that the engine is in.', [[`{state="${engine.state}"}`, 1]]],
    ['engine_restarts_total', 'counter', 'Restarts of the engine after it had served.', one(engine.restarts)],
    ['in_flight', 'gauge', 'Requests that the engine has now.', one(load.inFlight)],
    ['requests_total', 'counter', 'Requests that were given to the engine.', one(load.requests)],
    ['busy_seconds_total', 'counter', 'Time with at least one request in flight.', one(load.busyMs / 1_000)],
    ['sockets', 'gauge', 'Connections to gateways.', one(sockets)],
    ['spare_sockets', 'gauge', 'Of them, those that carry nothing.', one(load.spareSockets)],
    ['lease_seconds', 'gauge', 'Until the node ends itself, if nobody speaks to it.', one(leaseLeftMs / 1_000)],
    ['draining', 'gauge', 'Whether it takes no new requests.', one(draining ? 1 : 0)],
    ['gpu_utilization_ratio', 'gauge', 'As the driver has it, 0 to 1.', perGpu(share)],
    ['gpu_memory_used_bytes', 'gauge', 'Memory of the GPU in use.', perGpu(used)],
    ['gpu_memory_bytes', 'gauge', 'Memory of the GPU.', perGpu(({ memoryMib }) => memoryMib * mib)],
    ['gpu_temperature_celsius', 'gauge', 'As the driver has it.', perGpu(({ temperatureC }) => temperatureC)],
  ]
  return figures
    .flatMap(([name, kind, help, samples]) => told(`flightdeck_agent_${name}`, kind, help, samples))
    .join('')
}

const told = (name: string, kind: string, help: string, samples: Samples): string[] =>
  samples.length === 0
    ? []
    : [
        `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`,
        ...samples.map(([labels, value]) => `${name}${labels} ${value}\n`),
      ]
