import type { Server } from 'node:http'
import type { Settings } from '../core/settings.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Store } from '../store/database.ts'
import type { Door } from './access.ts'
import type { Views } from './views.ts'

export interface LiveDeps {
  readonly server: Server
  readonly door: Door
  readonly views: Views
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly settings: Settings
  readonly host: string
  readonly publicUrl: string | undefined
  readonly install: string
}

export interface LiveLimits {
  /** Connections at once. */
  readonly readers: number
  /** Topics that one connection may follow. */
  readonly topics: number
  /** Time to say hello. */
  readonly helloMs: number
  /** A reader is asked for a sign of life this often, and its token is looked at again. */
  readonly heartbeatMs: number
  /** Bytes that wait for a reader before what can be told later is told later. */
  readonly roomBytes: number
  /** Bytes that wait for a slow reader before it is dropped. */
  readonly bufferedBytes: number
  /** Time for a slow reader to read what was on its way, and then why it was dropped. */
  readonly slowCloseMs: number
  /** Changes within this time are told as one. */
  readonly coalesceMs: number
  /** What changes by time alone is looked at this often. */
  readonly tickMs: number
}

export const defaultLiveLimits: LiveLimits = {
  readers: 1_000,
  topics: 64,
  helloMs: 5_000,
  heartbeatMs: 20_000,
  roomBytes: 262_144,
  bufferedBytes: 1_048_576,
  slowCloseMs: 10_000,
  coalesceMs: 50,
  tickMs: 1_000,
}
