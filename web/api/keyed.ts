import { useState } from 'react'
import type { DeploymentRequest, LaunchRequest } from '../../src/wire/routes.ts'
import { useAct } from './acting.ts'
import type { ReplyOf } from './reading.ts'

interface Bodies {
  readonly createLaunch: LaunchRequest
  readonly createDeployment: DeploymentRequest
}

/** Makes what is asked for once: pressed again after an answer that was lost, the same request finds what it made. */
export function useKeyed<N extends keyof Bodies>(name: N) {
  const { run, isRunning, failure } = useAct(name)
  const [keys] = useState(() => new Map<string, string>())
  const ask = (body: Bodies[N]): Promise<ReplyOf<N> | undefined> => {
    const asked = JSON.stringify(body)
    const idempotencyKey = keys.get(asked) ?? freshKey()
    keys.set(asked, idempotencyKey)
    // The types follow from the contract by name, which the compiler cannot follow through a type parameter.
    return run({ body, idempotencyKey } as unknown as Parameters<typeof run>[0])
  }
  return { ask, isRunning, failure }
}

/** 128 bits of chance. Browsers make UUIDs for pages on loopback or TLS alone. */
const freshKey = (): string => crypto.getRandomValues(new Uint32Array(4)).join('-')
