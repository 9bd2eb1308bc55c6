import { useSyncExternalStore } from 'react'
import { type FleetMessage, takeIn } from '../../src/wire/live.ts'
import type { NodeView } from '../../src/wire/views.ts'
import { serverClock } from '../clock/server-clock.ts'
import { live } from './link.ts'

let fleet: readonly NodeView[] | null = null
const byId = new Map<string, NodeView>()
const listeners = new Set<() => void>()
let leave: (() => void) | null = null
let drawing = false
let drawnAt = Number.NEGATIVE_INFINITY
const goneShownMs = 60_000
// Time for others between two drawings, which take the longer the more nodes there are. An event may take a quarter of a second
// to the screen, of which this is a part.
const betweenDrawingsMs = (nodes: number): number => Math.min(150, nodes * 0.015)

function hear(message: FleetMessage): void {
  takeIn(byId, message)
  // No count is shown of a part of the fleet: until the whole is there, what was known before stands.
  if (message.left > 0) return
  // Nobody tells when a node that is gone is not worth showing any more.
  for (const [id, { goneAt }] of byId)
    if (goneAt && serverClock.now() - Date.parse(goneAt) > goneShownMs) byId.delete(id)
  fleet = [...byId.values()]
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
    Math.max(0, drawnAt + betweenDrawingsMs(byId.size) - performance.now()),
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
export const useFleet = (): readonly NodeView[] | null => useSyncExternalStore(subscribe, () => fleet)
