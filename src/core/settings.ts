import type { CatalogModel } from './catalog.ts'
import type { EngineArguments, EngineName } from './engine-presets.ts'
import { graceMs } from './guard.ts'
import { defaultSignalAges, type SignalAges } from './health.ts'
import { type CapacityPolicy, defaultCapacityPolicy } from './offer-memory.ts'
import type { LaunchServer } from './queue.ts'
import type { Recipes } from './recipe.ts'
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts'

export const processors = ['x64', 'arm64'] as const
export type Processor = (typeof processors)[number]

/** A model that can be launched, as the operator configured it. `source` is what the engine is told to load. */
export interface ModelEntry {
  readonly name: string
  readonly engine: EngineName
  readonly source: string
  readonly args: EngineArguments
  readonly description: string
  /** Which entry of the catalogue it is, where the source does not say it. */
  readonly catalog?: string | undefined
  /** Requests of full length at the same time that a machine must have room for; one where it is not said. */
  readonly concurrency?: number | undefined
}

/** What the operator chose, as far as commands, intake and loops need it. Read once at the start. */
export interface Settings {
  readonly models: readonly ModelEntry[]
  /** What is known about open-weight models, for telling beforehand whether one fits. */
  readonly catalog: readonly CatalogModel[]
  /** Command and environment of each engine; never taken from a request. */
  readonly engines: Readonly<
    Partial<Record<EngineName, { readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> }>>
  >
  /** How engines get onto machines that come without them. */
  readonly recipes: Recipes
  /** Clouds whose machines run an image, which brings the engine unless a recipe does. */
  readonly images: Readonly<Record<string, string>>
  /** Processors of rented machines for which there is no agent that brings its own Node. */
  readonly onlyWithNode: readonly Processor[]
  /** The disk that machines of a cloud are ordered with; clouds that are not here do not say. */
  readonly diskGib: Readonly<Record<string, number>>
  readonly attemptsInFlight: number
  /** Servers that work on so many launches of their clouds at a time. */
  readonly launchServers: readonly LaunchServer[]
  /** How long a loop's claim on a row lasts without being renewed; longer than any single call to a cloud. */
  readonly claimHoldMs: number
  /** The operator's limit for every launch; null: by the limits of its offers, up to the longest one. */
  readonly launchTimeLimitS: number | null
  readonly launchMaxTimeLimitS: number
  /** Launches that one owner may ask for within a minute. */
  readonly launchesPerMinute: number
  readonly retry: RetryPolicy
  readonly capacity: CapacityPolicy
  readonly stopAfterFailures: number
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly joinTokenMs: number
  /** The longest time that a node may be kept for somebody to look at. */
  readonly holdLimitS: number
  readonly engineRestarts: number
  readonly engineStopGraceMs: number
  readonly signalAges: SignalAges
  readonly graceMs: number
  readonly allowedOrigins: readonly string[]
  /** A browser is signed out when it was silent for `idleS`, and in any case after `lifetimeS`. */
  readonly sessions: { readonly idleS: number; readonly lifetimeS: number }
}

export const defaultSettings: Settings = {
  models: [],
  catalog: [],
  engines: {},
  recipes: {},
  images: {},
  diskGib: {},
  onlyWithNode: [],
  attemptsInFlight: 8,
  launchServers: [],
  claimHoldMs: 20_000,
  launchTimeLimitS: null,
  // A guess: two tries at a machine as slow as any, with its installation; each attempt has a limit of its own beside.
  launchMaxTimeLimitS: 6 * 3_600,
  launchesPerMinute: 60,
  retry: defaultRetryPolicy,
  capacity: defaultCapacityPolicy,
  stopAfterFailures: 3,
  heartbeatMs: 10_000,
  // Far above the hour of outage that is promised to be ridden out.
  leaseMs: 4 * 3_600_000,
  joinTokenMs: 1_800_000,
  // A guess: a working day and the night after it.
  holdLimitS: 86_400,
  engineRestarts: 3,
  engineStopGraceMs: 10_000,
  signalAges: defaultSignalAges,
  graceMs,
  allowedOrigins: [],
  // Guesses: a working day and the evening after it; a week.
  sessions: { idleS: 12 * 3_600, lifetimeS: 7 * 86_400 },
}
