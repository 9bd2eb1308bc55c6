import type { CommandDeps } from '../commands/context.ts'
import { createDeployment, pauseDeployment, scaleDeployment } from '../commands/deployments.ts'
import { armTheSweep, pauseAutomation } from '../commands/pause.ts'
import { Failure } from '../core/failure.ts'
import { readBurn, readSpend, readTokens } from '../store/read-spend.ts'
import type { Handlers } from './asked.ts'
import { presentSpend } from './present-spend.ts'
import { theOne, type Views } from './views.ts'

type Names =
  | 'listDeployments'
  | 'createDeployment'
  | 'showDeployment'
  | 'scaleDeployment'
  | 'pauseDeployment'
  | 'status'
  | 'pause'
  | 'armSweep'
  | 'spend'

const spendDefaultMs = 30 * 86_400_000

export function fleetHandlers(deps: CommandDeps, views: Views): Handlers<Names> {
  const { clock } = deps
  const { db } = deps.store
  const one = async (tenantId: string, id: string) => theOne(await views.deployments(tenantId, id), `deployment ${id}`)
  return {
    listDeployments: async ({ actor }) => ({ items: await views.deployments(actor.tenantId) }),
    showDeployment: ({ actor, id }) => one(actor.tenantId, id),
    async createDeployment({ actor, body, idempotencyKey }) {
      const { deploymentId } = await createDeployment(deps, actor, body, idempotencyKey)
      return one(actor.tenantId, deploymentId)
    },
    async scaleDeployment({ actor, id, body }) {
      await scaleDeployment(deps, actor, id, body)
      return one(actor.tenantId, id)
    },
    async pauseDeployment({ actor, id, body }) {
      await pauseDeployment(deps, actor, id, body.paused)
      return one(actor.tenantId, id)
    },
    status: () => views.status(),
    async pause({ actor, body }) {
      await pauseAutomation(deps, actor, body)
      return views.status()
    },

    async armSweep({ actor }) {
      await armTheSweep(deps, actor)
      return views.status()
    },
    async spend({ actor: { tenantId }, query }) {
      const now = clock.now()
      const to = query.to ? Date.parse(query.to) : now
      const from = query.from ? Date.parse(query.from) : to - spendDefaultMs
      if (from >= to) throw new Failure('bad_request', 'query.from: must be before query.to')
      const [rows, tokens, burnPerHourMicroUsd] = await Promise.all([
        readSpend(db, tenantId, from, to, now),
        readTokens(db, tenantId, from, to),
        readBurn(db, tenantId),
      ])
      return presentSpend(rows, { from, to, burnPerHourMicroUsd, ...tokens })
    },
  }
}
