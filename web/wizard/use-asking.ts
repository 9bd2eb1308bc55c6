import { useNavigate } from '@tanstack/react-router'
import { useAct } from '../api/acting.ts'
import { useKeyed } from '../api/keyed.ts'
import { useLaunching } from '../launches/use-launching.ts'
import type { Call } from './as-text.ts'

/** Asks for what the wizard came to, and leads to the page of what gets it. */
export function useAsking() {
  const navigate = useNavigate()
  const launching = useLaunching()
  const deploying = useKeyed('createDeployment')
  const scaling = useAct('scaleDeployment')
  const ask = async (call: Call) => {
    if (call.act === 'createLaunch') return launching.launch(call.body)
    const deployment = await (call.act === 'createDeployment'
      ? deploying.ask(call.body)
      : scaling.run({ params: { id: call.id }, body: call.body }))
    if (deployment) await navigate({ to: '/deployments/$id', params: { id: deployment.id } })
  }
  return {
    ask,
    isRunning: launching.isRunning || deploying.isRunning || scaling.isRunning,
    failure: launching.failure ?? deploying.failure ?? scaling.failure,
  }
}
