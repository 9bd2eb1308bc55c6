import type { UseQueryResult } from '@tanstack/react-query'
import type { PlanView } from '../../src/wire/plan.ts'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { useRead } from '../api/reading.ts'

/** Whether the machines are not chosen here: several more replicas of a deployment that is there are launched as it says. */
export const isChosenByDeployment = ({ replicas, becomes }: PlanView): boolean =>
  replicas > 1 && becomes !== null && becomes.id !== null

/** What a launch would do and cost. */
export function usePlan(request: LaunchRequest, replicas: number): UseQueryResult<PlanView> {
  const { dryRun: _, ...asked } = request
  return useRead('plan', { body: { ...asked, replicas } })
}
