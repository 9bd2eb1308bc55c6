import { storable } from '../lib/canonical.ts'
import { nudge } from '../store/claims.ts'
import { saveGateway } from '../store/gateways.ts'
import { knownNodes } from '../store/heard.ts'
import { saveProbes } from '../store/probes.ts'
import { transact } from '../store/transact.ts'
import { addUsage } from '../store/usage.ts'
import type { GatewayReport } from '../wire/gateway.ts'
import { type Alarm, makeAlarm } from './alarm.ts'
import type { IntakeDeps } from './context.ts'
import { tellSecondHolder } from './heartbeat.ts'

export interface GatewayIntake {
  /** The batch that need not be sent again. */
  take(report: GatewayReport): Promise<{ acceptedBatch: number | null }>
}

/** Takes the reports of gateways: that they live, what they have open, what was used, what the engines answered, who knocked twice. */
export function makeGatewayIntake(deps: IntakeDeps, alarm: Alarm = makeAlarm(deps)): GatewayIntake {
  return {
    async take(given) {
      const report = storable(given)
      const { db } = deps.store
      const now = deps.clock.now()
      const changed = await transact(db, async (tx) => {
        const { gatewayId: id, url, fingerprint, tableVersion, batch } = report
        const startedAt = Date.parse(report.startedAt)
        const busy = report.nodes.filter(({ inFlight }) => inFlight > 0)
        const openRequests = Object.fromEntries(busy.map(({ id: nodeId, inFlight }) => [nodeId, inFlight]))
        await saveGateway(tx, { id, url, fingerprint, tableVersion, startedAt, openRequests }, now)
        if (batch !== null) await addUsage(tx, id, batch, report.usage, now)
        const probes = report.probes.map(({ nodeId, good, reached, detail, agoMs }) => ({
          nodeId,
          good,
          reached,
          detail,
          at: now - agoMs,
        }))
        return saveProbes(tx, id, probes)
      })
      // What was told is kept; a nudge that is lost costs time only.
      if (changed) await nudge(db, 'health', ['health'], now).catch(() => undefined)
      await tellSecondHolders(deps, alarm, report)
      return { acceptedBatch: report.batch }
    },
  }
}

async function tellSecondHolders({ store }: IntakeDeps, alarm: Alarm, { secondHolders, gatewayId }: GatewayReport) {
  if (secondHolders.length === 0) return
  const known = await knownNodes(
    store.db,
    secondHolders.map(({ nodeId }) => nodeId),
  )
  for (const { nodeId, incarnation } of secondHolders) {
    if (known.has(nodeId)) await tellSecondHolder(alarm, nodeId, incarnation, `the gateway ${gatewayId}`)
  }
}
