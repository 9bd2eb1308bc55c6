import { spawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { namesMeant, type Stage } from '../core/stage.ts'
import { pause } from '../lib/clock.ts'
import { codeOf } from '../lib/error-code.ts'
import { type Environment, type Exit, untilGone } from './engine-process.ts'
import { fillAll, type Places } from './install-places.ts'
import { groupMembers, processesWith, signal } from './proc.ts'

// Where the machine keeps its authorities, by family of Linux. uv and older pips bring lists of their own, and know
// nothing of a company's proxy that the machine has been told to trust.
const authorities = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem']

const installMark = 'FLIGHTDECK_INSTALL=1'
const everyStage =
  /^(PATH|HOME|USER|LANG|LC_ALL|TMPDIR|LD_LIBRARY_PATH|XDG_CACHE_HOME|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC|HF_ENDPOINT)$/
const ofPackages = /^(UV|PIP)_/

export interface CommandWorld {
  /** The agent's own. */
  readonly own: Environment
  /** What the operator gives the engine: proxies, mirrors and endpoints are meant for both. */
  readonly engineEnv: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, string>>
  readonly machine: string
  readonly places: Places
}

/** What a stage's commands see: where things are, and of the secrets those that it names. */
export function stageEnvironment(stage: Stage, world: CommandWorld): Record<string, string> {
  const { own, engineEnv, secrets, machine, places } = world
  const inherited = Object.entries(own).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (everyStage.test(entry[0]) || (stage.keeps === 'env' && ofPackages.test(entry[0]))),
  )
  const given = Object.entries({ ...fillAll(engineEnv, places), ...fillAll(stage.env, places) }).filter(
    ([name]) => !name.startsWith('FLIGHTDECK_'),
  )
  return {
    // Whatever is fetched on the way stays in the folder, unless the operator has a place for it.
    UV_CACHE_DIR: places.cache,
    UV_PYTHON_INSTALL_DIR: join(places.folder, 'python'),
    PIP_CACHE_DIR: join(places.cache, 'pip'),
    UV_NO_PROGRESS: '1',
    PIP_PROGRESS_BAR: 'off',
    PYTHONUNBUFFERED: '1',
    ...certificates(own),
    ...Object.fromEntries([...inherited, ...given]),
    ...Object.fromEntries(namesMeant(stage.secrets, Object.keys(secrets)).map((name) => [name, secrets[name] ?? ''])),
    FLIGHTDECK_MACHINE: machine,
    FLIGHTDECK_INSTALL: '1',
  }
}

function certificates(own: Environment): Record<string, string> {
  const file = own['SSL_CERT_FILE'] ?? authorities.find((path) => isReadable(path))
  return file ? { SSL_CERT_FILE: file, PIP_CERT: file, REQUESTS_CA_BUNDLE: file } : {}
}

/** Whether a program can be run: by its path, or by its name in PATH. */
export function isThere(program: string, path: string): boolean {
  const candidates = program.includes('/') ? [program] : path.split(delimiter).map((folder) => join(folder, program))
  return candidates.some((candidate) => isReadable(candidate, constants.X_OK))
}

function isReadable(path: string, mode = constants.R_OK): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'].includes(codeOf(error))) return false
    throw error
  }
}

export interface Run {
  readonly exited: Promise<Exit>
  /** Ends it and what it has started. Resolves when nothing of it is left. */
  end(): Promise<void>
}

export interface CommandPlace {
  readonly dir: string
  readonly log: string
  readonly env: Record<string, string>
  /** An open file that is locked: while anything of the command lives, so does the lock. */
  readonly lock: number | null
}

/** Starts one command of a stage in a group of its own, its output at the end of the log. @throws as spawn does. */
export function startCommand(words: readonly string[], { dir, log, env, lock }: CommandPlace): Promise<Run> {
  const [command = '', ...args] = words
  const output = openSync(log, 'a', 0o600)
  const child = spawn(command, args, {
    cwd: dir,
    env,
    detached: true,
    stdio: ['ignore', output, output, lock ?? 'ignore'],
  })
  closeSync(output)
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, name) => resolve({ code, signal: name }))
  })
  const end = async (): Promise<void> => {
    if (child.pid !== undefined) signal(-child.pid, 'SIGKILL')
    await untilGone(() => groupMembers(child.pid ?? 0), 5_000)
  }
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve({ exited, end }))
    child.once('error', reject)
  })
}

/** Ends what is left of installing on this machine; an agent that died was in the middle of it. */
export async function endInstallers(machine: string): Promise<number> {
  const marks = [`FLIGHTDECK_MACHINE=${machine}`, installMark]
  const left = processesWith(marks)
  for (const pid of left) signal(pid, 'SIGKILL')
  await untilGone(() => processesWith(marks), 5_000)
  return left.length
}

/** A lock that the kernel keeps: on the file that is open here, as long as we or what we have started holds it open. */
export class FolderLock {
  readonly file: number

  constructor(path: string) {
    this.file = openSync(path, 'a', 0o600)
  }

  /** Waits until it is ours, but not for ever. `onBusy` is called while it is somebody else's. */
  async take(
    { pollMs, limitMs }: { readonly pollMs: number; readonly limitMs: number },
    stop: AbortSignal,
    onBusy: () => void,
  ): Promise<'taken' | 'stopped' | 'late'> {
    const endsAt = performance.now() + limitMs
    while (!stop.aborted) {
      if (await this.#tryTake()) return 'taken'
      if (performance.now() >= endsAt) return 'late'
      onBusy()
      await pause(pollMs, stop)
    }
    return 'stopped'
  }

  close(): void {
    closeSync(this.file)
  }

  #tryTake(): Promise<boolean> {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', this.file] })
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => resolve(code === 0))
      child.once('error', reject)
    })
  }
}
