import { type UseQueryResult, useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { PlanView } from '../../src/wire/plan.ts'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { client } from '../api/client.ts'
import { keyOf } from '../api/queries.ts'
import { feed } from '../live/feeding.ts'

/** What a launch would do and cost, read again whenever the offers are. It is asked with POST, and changes nothing. */
export function usePlan(request: LaunchRequest, replicas: number): UseQueryResult<PlanView> {
  useEffect(() => feed('listOffers', undefined), [])
  const { dryRun: _, ...asked } = request
  return useQuery({
    queryKey: [...keyOf('listOffers'), 'plan', request, replicas],
    queryFn: ({ signal }) => client.plan({ body: { ...asked, replicas }, signal }),
  })
}
