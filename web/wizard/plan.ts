import { type UseQueryResult, useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { PlanView } from '../../src/wire/plan.ts'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { client } from '../api/client.ts'
import { keyOf } from '../api/queries.ts'
import { feed } from '../live/feeding.ts'

/** What a launch would do and cost, read again whenever the offers are. It is asked with POST, as a launch is, and changes nothing. */
export function usePlan(request: LaunchRequest, enabled: boolean): UseQueryResult<PlanView> {
  useEffect(() => feed('listOffers', undefined), [])
  return useQuery({
    queryKey: [...keyOf('listOffers'), 'plan', request],
    queryFn: async ({ signal }) => {
      const reply = await client.createLaunch({ body: { ...request, dryRun: true }, signal })
      if ('dryRun' in reply) return reply.plan
      throw new Error('a dry run was answered with a launch')
    },
    enabled,
  })
}
