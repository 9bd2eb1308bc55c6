import type { AgentReply, Heartbeat, JoinReply, JoinRequest, ProgressReport } from '../wire/agent.ts'
import type { GatewayReport } from '../wire/gateway.ts'
import { makeAlarm } from './alarm.ts'
import type { IntakeDeps } from './context.ts'
import { makeGatewayIntake } from './gateway.ts'
import { makeHeartbeats } from './heartbeat.ts'
import { makeJoins } from './join.ts'
import { makeProgressIntake } from './progress.ts'
import { makeRouteTables, type RouteTables } from './routes.ts'

/** Everything that machines may say to the control plane, and the table that gateways ask for. */
export interface Intake {
  join(token: string, request: JoinRequest, peerAddress: string): Promise<JoinReply>
  heartbeat(credential: string, message: Heartbeat, peerAddress: string): Promise<AgentReply>
  progress(credential: string, report: ProgressReport, peerAddress: string): Promise<AgentReply>
  gatewayReport(report: GatewayReport): Promise<{ acceptedBatch: number | null }>
  readonly routes: RouteTables
  /** To be told every topic that the store tells of. */
  hear(topic: string): void
  close(): void
}

/** `onError` hears of routing tables that could not be made; everything else is thrown to the caller. */
export function makeIntake(deps: IntakeDeps, onError: (error: unknown) => void): Intake {
  const alarm = makeAlarm(deps)
  const routes = makeRouteTables(deps, onError)
  return {
    join: makeJoins(deps, alarm).join,
    heartbeat: makeHeartbeats(deps, alarm).take,
    progress: makeProgressIntake(deps, alarm).take,
    gatewayReport: makeGatewayIntake(deps, alarm).take,
    routes,
    hear: (topic) => routes.hear(topic),
    close: () => routes.close(),
  }
}
