import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { LaunchRequest } from '../../src/wire/routes.ts'
import { useAct } from '../api/acting.ts'

/** Asks for a launch, and leads to its page. */
export function useLaunching() {
  const navigate = useNavigate()
  const { run, isRunning, failure } = useAct('createLaunch')
  // Pressed again after an answer that was lost, the same request must find its launch and not make a second one.
  const [keys] = useState(() => new Map<string, string>())
  const launch = async (body: LaunchRequest) => {
    const asked = JSON.stringify(body)
    const idempotencyKey = keys.get(asked) ?? freshKey()
    keys.set(asked, idempotencyKey)
    const made = await run({ body, idempotencyKey })
    if (made && 'id' in made) await navigate({ to: '/launches/$id', params: { id: made.id } })
  }
  return { launch, isRunning, failure }
}

/** 128 bits of chance. Browsers make UUIDs for pages on loopback or TLS alone. */
const freshKey = (): string => crypto.getRandomValues(new Uint32Array(4)).join('-')
