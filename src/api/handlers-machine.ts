import type { CommandDeps } from '../commands/context.ts'
import { version } from '../core/version.ts'
import { makeAlarm } from '../intake/alarm.ts'
import type { IntakeDeps } from '../intake/context.ts'
import { makeGatewayIntake } from '../intake/gateway.ts'
import { makeHeartbeats } from '../intake/heartbeat.ts'
import { makeJoins } from '../intake/join.ts'
import { makeNoticeIntake } from '../intake/notice.ts'
import { makeProgressIntake } from '../intake/progress.ts'
import type { RouteTables } from '../intake/routes.ts'
import { installInReach } from '../store/read-status.ts'
import { openApiDocument } from '../wire/openapi.ts'
import { Answered, type Handlers } from './asked.ts'
import type { ApiMetrics } from './metrics.ts'

export function machineHandlers(
  deps: CommandDeps & Pick<IntakeDeps, 'direct'>,
  tables: RouteTables,
): Handlers<'join' | 'heartbeat' | 'notice' | 'progress' | 'gatewayTable' | 'gatewayReport'> {
  const alarm = makeAlarm(deps)
  const joins = makeJoins(deps, alarm)
  const heartbeats = makeHeartbeats(deps, alarm)
  const notices = makeNoticeIntake(deps, alarm)
  const progress = makeProgressIntake(deps, alarm)
  const gateways = makeGatewayIntake(deps, alarm)
  return {
    join: ({ token, body, address }) => joins.join(token, body, address),
    heartbeat: ({ token, body, address }) => heartbeats.take(token, body, address),
    notice: ({ token, body, address }) => notices.take(token, body, address),
    progress: ({ token, body, address }) => progress.take(token, body, address),
    async gatewayTable({ query: { after, waitMs }, gone }) {
      const table = await tables.waitAfter(after, waitMs, gone())
      return table ?? new Answered(204, null)
    },
    gatewayReport: ({ body }) => gateways.take(body),
  }
}

/** What the process says of itself. */
export function selfHandlers(deps: CommandDeps, metrics: ApiMetrics): Handlers<'health' | 'openapi' | 'metrics'> {
  const document = openApiDocument(version)
  return {
    async health() {
      const install = await installInReach(deps.store.db)
      const database = install !== null
      return new Answered(database ? 200 : 503, { ok: database, version, database, install })
    },
    openapi: async () => document,
    async metrics() {
      const { text, contentType } = await metrics.page()
      return new Answered(200, text, { 'content-type': contentType })
    },
  }
}
