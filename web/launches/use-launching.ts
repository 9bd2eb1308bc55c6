import { useNavigate } from '@tanstack/react-router'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { useKeyed } from '../api/keyed.ts'

/** Asks for a launch, and leads to its page. */
export function useLaunching() {
  const navigate = useNavigate()
  const { ask, isRunning, failure } = useKeyed('createLaunch')
  const launch = async (body: LaunchRequest) => {
    const made = await ask(body)
    if (made && 'id' in made) await navigate({ to: '/launches/$id', params: { id: made.id } })
  }
  return { launch, isRunning, failure }
}
