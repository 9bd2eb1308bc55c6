import { useSyncExternalStore } from 'react'
import { livePath } from '../../src/wire/live.ts'
import { session } from '../api/session.ts'
import { serverClock } from '../clock/server-clock.ts'
import { type LinkState, LiveSocket } from './live-socket.ts'

/** The one connection of the page. */
export const live = new LiveSocket({
  open: () => new WebSocket(`${location.origin.replace(/^http/, 'ws')}${livePath}`),
  // It was said somewhere between our hello and now.
  greeted: ({ now }, tookMs) => serverClock.learn(Date.parse(now) + tookMs / 2, tookMs / 2),
  elapsed: () => performance.now(),
  chance: Math.random,
  after(ms, act) {
    const timer = window.setTimeout(act, ms)
    return () => window.clearTimeout(timer)
  },
})

/** Connected while somebody is signed in, and at once when the network or the reader comes back. */
export function keepLive(): void {
  let wasIn = false
  session.subscribe(() => {
    const isIn = session.state.kind === 'in'
    if (isIn !== wasIn) isIn ? live.start() : live.stop()
    wasIn = isIn
  })
  live.watch(() => {
    if (live.state.kind === 'refused') session.ended()
  })
  window.addEventListener('online', () => live.hurry())
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && live.hurry())
}

export const useLink = (): LinkState =>
  useSyncExternalStore(
    (watcher) => live.watch(watcher),
    () => live.state,
  )
