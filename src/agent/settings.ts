import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isLoopback } from '../lib/host.ts'
import { readFingerprint } from '../lib/trust.ts'
import type { OwnLog } from './own-log.ts'

/** What the environment tells the agent. Secrets are not part of it: the join token is read from its file. */
export interface Settings {
  /** The machine's name at its cloud; every process of the machine carries it in its environment. */
  readonly machine: string
  readonly controlUrl: string
  readonly joinTokenFile: string | null
  /** The node's folder on its own disk. */
  readonly dir: string
  /** Where engines are installed that name no folder of their own. */
  readonly recipeDir: string
  /** SHA-256 of the control plane's certificate or of its authority, as 64 hex digits. */
  readonly fingerprint: string | null
  /** Tests shorten the heartbeat; null leaves it to the control plane. */
  readonly heartbeatMs: number | null
  /** Where the cloud's metadata service is; null: where that cloud has it. Tests have one of their own. */
  readonly metadataUrl: string | null
  /** Where the kernel's log is; null: where systems have it. Tests have one of their own. */
  readonly kernelLog: string | null
}

export class SettingsError extends Error {}

type Environment = Readonly<Record<string, string | undefined>>

/** @throws SettingsError naming the variable that is missing or wrong. */
export function readSettings(env: Environment): Settings {
  const controlUrl = needed(env, 'FLIGHTDECK_CONTROL_URL').replace(/\/+$/, '')
  refusePlainHttp(controlUrl, 'FLIGHTDECK_CONTROL_URL')
  const dir = join(needed(env, 'FLIGHTDECK_NODE_DIR'))
  return {
    machine: needed(env, 'FLIGHTDECK_MACHINE'),
    controlUrl,
    joinTokenFile: env['FLIGHTDECK_JOIN_TOKEN_FILE'] || null,
    dir,
    recipeDir: env['FLIGHTDECK_RECIPE_DIR'] || join(dir, 'recipe'),
    fingerprint: readPin(env['FLIGHTDECK_CONTROL_FINGERPRINT']),
    heartbeatMs: readMs(env['FLIGHTDECK_HEARTBEAT_MS']),
    metadataUrl: env['FLIGHTDECK_METADATA_URL'] || null,
    kernelLog: env['FLIGHTDECK_KERNEL_LOG'] || null,
  }
}

function needed(env: Environment, name: string): string {
  const value = env[name]
  if (!value) throw new SettingsError(`${name} is not set.`)
  return value
}

function readPin(text: string | undefined): string | null {
  try {
    return text ? readFingerprint(text, 'FLIGHTDECK_CONTROL_FINGERPRINT') : null
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error))
  }
}

function readMs(text: string | undefined): number | null {
  if (!text) return null
  const ms = Number(text)
  if (!Number.isInteger(ms) || ms < 1)
    throw new SettingsError('FLIGHTDECK_HEARTBEAT_MS must be a number of milliseconds.')
  return ms
}

/**
 * A credential may cross a wire in the clear only where the wire is this machine.
 * @throws SettingsError for http to anywhere else, and for what is no http URL.
 */
export function refusePlainHttp(url: string, name: string): void {
  if (!URL.canParse(url)) throw new SettingsError(`${name} is not a URL: ${url}`)
  const { protocol, hostname } = new URL(url)
  if (protocol === 'https:') return
  if (protocol !== 'http:' || !isLoopback(hostname))
    throw new SettingsError(`${name} must be https, except on loopback: ${url}`)
}

/** @throws SettingsError when there is neither a credential nor a token: then nothing can be done on this machine. */
export function readJoinToken({ joinTokenFile }: Settings): string {
  if (!joinTokenFile)
    throw new SettingsError('FLIGHTDECK_JOIN_TOKEN_FILE is not set, and this node has not joined yet.')
  try {
    return readFileSync(joinTokenFile, 'utf8').trim()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SettingsError(`The join token cannot be read: ${why}`)
  }
}

/** A token that was used is worth nothing to us and something to whoever finds it. */
export function forgetToken({ joinTokenFile }: Settings, log: OwnLog): void {
  try {
    if (joinTokenFile) rmSync(joinTokenFile, { force: true })
  } catch (error) {
    log.say(`The used join token could not be removed: ${error instanceof Error ? error.message : String(error)}`)
  }
}
