import { useSyncExternalStore } from 'react'
import { type FleetMessage, takeIn } from '../../src/wire/live.ts'
import type { NodeView, StatusView } from '../../src/wire/views.ts'
import { hold, keyOf } from '../api/queries.ts'
import { serverClock } from '../clock/server-clock.ts'
import { live } from './link.ts'

export interface Fleet {
  readonly nodes: readonly NodeView[]
  readonly status: StatusView | null
}

let fleet: Fleet | null = null
const byId = new Map<string, NodeView>()
const listeners = new Set<() => void>()
let leave: (() => void) | null = null
let drawing = false
let drawnAt = Number.NEGATIVE_INFINITY
const goneShownMs = 60_000
// Drawn within the quarter of a second that an event may take to the screen, with time for others between.
const betweenDrawingsMs = 150

function hear(message: FleetMessage): void {
  const { status } = message
  takeIn(byId, message)
  // No count is shown of a part of the fleet: until the whole is there, what was known before stands.
  if (message.left > 0) return
  // Nobody tells when a node that is gone is not worth showing any more.
  for (const [id, { goneAt }] of byId)
    if (goneAt && serverClock.now() - Date.parse(goneAt) > goneShownMs) byId.delete(id)
  fleet = { nodes: [...byId.values()], status: status ?? fleet?.status ?? null }
  if (status) hold(keyOf('status'), status)
  drawSoon()
}

/** At once after a quiet time; else what comes meanwhile is drawn together: thousands of nodes speak every second. */
function drawSoon(): void {
  if (drawing) return
  drawing = true
  setTimeout(
    () => {
      drawing = false
      drawnAt = performance.now()
      for (const listener of listeners) listener()
    },
    Math.max(0, drawnAt + betweenDrawingsMs - performance.now()),
  )
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  leave ??= live.follow({ topic: 'fleet' }, (message) => hear(message as FleetMessage))
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    leave?.()
    leave = null
  }
}

/** All nodes that are not gone, as they are now; null until the first word of them came. */
export const useFleet = (): Fleet | null => useSyncExternalStore(subscribe, () => fleet)
