import { useSyncExternalStore } from 'react'
import { serverClock } from './server-clock.ts'

const listeners = new Set<() => void>()
let timer: number | undefined
let second = 0

const look = (): void => {
  second = Math.floor(serverClock.now() / 1_000) * 1_000
  for (const listener of listeners) listener()
  // On the server's full second, so that all ages of a page change together.
  timer = window.setTimeout(look, 1_000 - (serverClock.now() % 1_000))
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  if (listeners.size === 1) look()
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) window.clearTimeout(timer)
  }
}

const current = (): number => (second === 0 ? Math.floor(serverClock.now() / 1_000) * 1_000 : second)

/** The server's time, in whole seconds; whoever uses it is drawn again each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, current)
}
