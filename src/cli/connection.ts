import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { failureRecord } from '../core/failure.ts'
import { CliFailure, exitCodes, usage } from './exit.ts'

export interface Connection {
  readonly url: string
  readonly token: string
  /** The file that `up` left both in. */
  readonly keptIn?: string
}

export interface ConnectionOptions {
  readonly url?: string | undefined
  readonly token?: string | undefined
  /** The data folder of the control plane that is meant, where there are several on this machine. */
  readonly data?: string | undefined
}

/** What `up` left for us. Without a token where the admins' tokens are somewhere else. */
interface Kept {
  readonly url: string
  readonly token: string | null
}

type Env = Readonly<Record<string, string | undefined>>

export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Where `flightdeck up` keeps its state, and with it the address and the first token. */
export const dataFolder = (env: Env): string => env.FLIGHTDECK_DATA || join(projectRoot, 'data')

/** Which control plane to talk to: flags, then the environment, then what `up` left in the data folder. */
export function findConnection(options: ConnectionOptions, env: Env): Connection {
  // A folder that is named means that control plane, whatever the shell was set up for.
  const url = options.url || (options.data ? undefined : env.FLIGHTDECK_URL)
  const token = options.token || (options.data ? undefined : env.FLIGHTDECK_TOKEN)
  if (url && token) return { url: checkedUrl(url), token }
  const file = join(options.data ? resolve(options.data) : dataFolder(env), 'cli.json')
  const kept = readKept(file)
  if (!url && !kept) throw noControlPlane(file)
  const chosen = checkedUrl(url || kept?.url || '')
  if (token) return { url: chosen, token }
  // The kept token belongs to the kept address; it is not sent anywhere else.
  if (kept?.token && chosen === checkedUrl(kept.url)) return { url: chosen, token: kept.token, keptIn: file }
  throw new CliFailure(
    failureRecord('unauthenticated', `There is no token for ${chosen}.`, {
      remedy: 'Give one with --token or FLIGHTDECK_TOKEN.',
    }),
    exitCodes.refused,
  )
}

/** Whoever was killed could not take its address back, and another control plane may have it by now. */
export const strangerRemedy = (file: string): string =>
  `The token is the one in ${file}. If another control plane answers there now, name its data folder with --data.`

function noControlPlane(file: string): CliFailure {
  return new CliFailure(
    {
      code: 'unreachable',
      fault: 'caller',
      retry: 'later',
      cause: `No control plane runs here: neither --url nor FLIGHTDECK_URL is given, and ${file} does not exist.`,
      remedy:
        'Start one with `flightdeck up`, or say where it is: --data for one on this machine, else --url and --token.',
    },
    exitCodes.unreachable,
  )
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/

function checkedUrl(text: string): string {
  if (!URL.canParse(text)) throw usage(`"${text}" is no address.`, 'Write it like http://127.0.0.1:8080.')
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw usage(`"${text}" is not an http address.`, 'Write it like https://flightdeck.example.com.')
  }
  // The token would be readable by everybody on the way.
  if (url.protocol === 'http:' && !loopback.test(url.hostname)) {
    throw usage(`${url.origin} would send the token in the open.`, 'Use https, or a tunnel to loopback.')
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function readKept(file: string): Kept | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw usage(`${file} cannot be read: ${error instanceof Error ? error.message : error}.`, 'Run as its owner.')
  }
  const kept = parsed(text)
  const token = kept?.token ?? null
  if (typeof kept?.url === 'string' && (token === null || typeof token === 'string')) return { url: kept.url, token }
  throw usage(`${file} is damaged.`, 'Delete it and start `flightdeck up` again, or give --url and --token.')
}

function parsed(text: string): Partial<Record<'url' | 'token', unknown>> | null {
  try {
    return JSON.parse(text) as Partial<Record<'url' | 'token', unknown>> | null
  } catch {
    // Damaged either way: the caller says so.
    return null
  }
}
