import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, vi } from 'vitest'
import { machineProcesses, signalProcess } from '../../src/clouds/local/processes.ts'
import { isOver, type LaunchState } from '../../src/core/launch-table.ts'
import { freePort } from '../../src/main/ports.ts'
import { type Client, makeClient } from '../../src/wire/client.ts'
import type { LaunchDetail, NodeDetail } from '../../src/wire/views.ts'

const root = join(import.meta.dirname, '../..')

/** The script of a simulated engine: see SimOptions. Each becomes a model of the name that it is listed under. */
export type Scripts = Record<string, Record<string, unknown>>

export interface PlaneOptions {
  readonly scripts?: Scripts
  readonly config?: Record<string, unknown>
  readonly local?: Record<string, unknown>
  readonly databaseUrl?: string
  /** Shares data set, machines and secrets with another plane on the same database. */
  readonly beside?: Plane
  readonly gateway?: boolean
  /** For its own process alone, not for its gateway or its machines. */
  readonly nodeArgs?: readonly string[]
  /** A folder that comes first in PATH: programs of the test's own. */
  readonly path?: string
}

/** A real control plane in a process of its own, with its own data folder and ports, and the world seen from outside. */
export class Plane {
  readonly dir: string
  readonly port: number
  readonly gatewayPort: number
  readonly options: PlaneOptions
  process: ChildProcess | null = null
  token = ''
  /** The end of what it and its gateway logged. */
  said = ''

  constructor(dir: string, ports: { control: number; gateway: number }, options: PlaneOptions) {
    this.dir = dir
    this.port = ports.control
    this.gatewayPort = ports.gateway
    this.options = options
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get gatewayUrl(): string {
    return `http://127.0.0.1:${this.gatewayPort}`
  }

  get client(): Client {
    return makeClient({ url: this.url, token: this.token })
  }

  get install(): Promise<string> {
    return this.client.status().then(({ install }) => install)
  }

  /** Starts the process and waits until it says that it is ready. */
  async start(): Promise<void> {
    const args = ['up', '--data', this.dir, '--config', join(this.dir, 'config.json'), '--json']
    if (this.options.gateway === false) args.push('--no-gateway')
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        ...(this.options.nodeArgs ?? []),
        join(root, 'src/main/cli.ts'),
        ...args,
      ],
      {
        env: {
          ...process.env,
          PATH: [this.options.path, process.env.PATH].filter(Boolean).join(':'),
          DATABASE_URL: this.options.databaseUrl ?? '',
          FLIGHTDECK_LOG_LEVEL: 'warn',
          ...this.sharedKey(),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    this.process = child
    child.stderr?.on('data', (chunk: Buffer) => {
      this.said = (this.said + chunk.toString()).slice(-20_000)
    })
    const ready = new Promise<void>((resolve, reject) => {
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
      lines.on('line', (line) => line.includes('"event":"ready"') && resolve())
      child.once('exit', (code) => reject(new Error(`the control plane ended with ${code}: ${this.said}`)))
    })
    await ready
    const owner = this.options.beside?.dir ?? this.dir
    if (!this.token) this.token = (JSON.parse(readFileSync(join(owner, 'cli.json'), 'utf8')) as { token: string }).token
  }

  private sharedKey(): Record<string, string> {
    const { beside } = this.options
    return beside ? { FLIGHTDECK_SECRET_KEY: readFileSync(join(beside.dir, 'secret.key'), 'utf8').trim() } : {}
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    if (['SIGSTOP', 'SIGCONT', 'SIGUSR2'].includes(signal)) return void child.kill(signal)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  /** The processes of this install's machines, found from outside: by their environment, not by what anybody recorded. */
  async machines(): Promise<Map<string, number[]>> {
    const found = new Map<string, number[]>()
    for (const { machine, pid } of await machineProcesses(`fd-${this.installId ?? (await this.install)}-`)) {
      found.set(machine, [...(found.get(machine) ?? []), pid])
    }
    return found
  }

  /** The processes of each machine whose command line holds the text. */
  async running(command: string): Promise<Map<string, number[]>> {
    const found = [...(await this.machines())].map(
      ([machine, pids]) => [machine, pids.filter((pid) => commandOf(pid).includes(command))] as const,
    )
    return new Map(found.filter(([, pids]) => pids.length > 0))
  }

  installId: string | null = null

  /** Stops everything of this plane, also what a failed test left behind. */
  async end(): Promise<void> {
    // The control plane goes first, or it would start again what is killed here.
    await this.signal('SIGCONT')
    await this.signal('SIGTERM')
    for (const pids of (await this.machines().catch(() => new Map<string, number[]>())).values())
      for (const pid of pids) signalProcess(pid, 'SIGKILL')
    rmSync(this.dir, { recursive: true, force: true })
  }

  async launched(model: string, body: Record<string, unknown> = {}): Promise<LaunchDetail> {
    const reply = await this.client.createLaunch({ body: { model, ...body } })
    if ('dryRun' in reply) throw new Error('a dry run was not asked for')
    return reply
  }

  /** Waits until the launch is in one of the states. */
  async reaches(id: string, states: readonly LaunchState[], withinMs = 20_000): Promise<LaunchDetail> {
    let last: LaunchDetail | undefined
    let problem = ''
    const what = () =>
      `launch ${id} is ${last?.state} (${last?.phase}), not ${states.join(' or ')}: ${JSON.stringify(last?.failure)} ${problem}`
    await until(
      async () => {
        const shown = await this.client.showLaunch({ params: { id } }).catch((error: Error) => {
          problem = error.message
        })
        last = shown ?? last
        // What is over reaches nothing else.
        return shown !== undefined && (states.includes(shown.state) || isOver(shown.state))
      },
      withinMs,
      what,
    )
    if (!last || !states.includes(last.state)) throw new Error(what())
    return last
  }

  async node(launch: LaunchDetail): Promise<NodeDetail> {
    const id = launch.attempts.at(-1)?.nodeId
    if (!id) throw new Error('the launch has no node yet')
    return this.client.showNode({ params: { id } })
  }

  /** An API key, and a plain chat completion with it. */
  async chat(
    model: string,
    key: string,
    body: Record<string, unknown> = {},
    signal: AbortSignal | null = null,
  ): Promise<Response> {
    return fetch(`${this.gatewayUrl}/v1/chat/completions`, {
      signal,
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 4, ...body }),
    })
  }

  /** A key that the gateway knows already: its table follows the control plane's within moments. */
  async key(name = 'test', models: string[] | null = null): Promise<string> {
    const { key } = await this.client.createKey({ body: { name, models } })
    const headers = { authorization: `Bearer ${key}` }
    const known = async () => (await fetch(`${this.gatewayUrl}/v1/models`, { headers })).status === 200
    await until(known, 5_000, () => 'the gateway does not learn of a new key')
    return key
  }
}

/** The bill begins with the first sight of the machine, ends when it is gone, and has no gap and no overlap between. */
export function ledgerIsWhole({ ledger, firstSeenAt, goneAt }: NodeDetail): void {
  const opened = ledger.map(({ openedAt }) => openedAt)
  const closed = ledger.map(({ closedAt }) => closedAt)
  const ends = firstSeenAt === null ? [] : [firstSeenAt, goneAt]
  expect([...opened.slice(0, 1), ...closed.slice(-1)]).toEqual(ends)
  expect(opened.slice(1)).toEqual(closed.slice(0, -1))
}

export async function startPlane(options: PlaneOptions = {}): Promise<Plane> {
  const dir = mkdtempSync(join(tmpdir(), 'fd-plane-'))
  const ports = { control: await freePort('127.0.0.1'), gateway: await freePort('127.0.0.1') }
  const plane = new Plane(dir, ports, options)
  writeFileSync(join(dir, 'config.json'), JSON.stringify(configFor(plane)))
  await plane.start()
  plane.installId = await plane.install
  return plane
}

/** Takes its model for a script of what it does. */
export const scriptedEngine = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, 'scripted-engine.ts'),
]

/** Empty for a process that has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    // It ended while we looked.
    return ''
  }
}

function configFor({ port, gatewayPort, options, dir }: Plane): Record<string, unknown> {
  const scripts = Object.entries(options.scripts ?? {})
  const { listen, gateway, ...config } = options.config ?? {}
  return {
    listen: { port, ...(listen as object) },
    gateway: { port: gatewayPort, ...(gateway as object) },
    graceS: 0,
    heartbeatS: 1,
    models: scripts.map(([name, { engine: preset = 'vllm', ...script }]) => ({
      name,
      engine: preset,
      source: JSON.stringify({ startupMs: 300, ...script }),
    })),
    ...config,
    local: {
      pricePerHourUsd: 3.6,
      maxMachines: 32,
      folder: join(options.beside?.dir ?? dir, 'local'),
      ...options.local,
      engines: { vllm: { command: scriptedEngine }, ...(options.local?.engines ?? {}) },
    },
  }
}

/** Polls a condition of the world outside until it holds. */
export async function until(
  holds: () => Promise<boolean> | boolean,
  withinMs: number,
  what: () => string,
): Promise<void> {
  // Not expect.poll: that one refuses to work in tests that run beside others.
  const check = async () => {
    if (!(await holds())) throw new Error(what())
  }
  await vi.waitFor(check, { timeout: withinMs, interval: 50 })
}

/** Processes that have to do with the folder: by their command, environment, working folder, or what they write to. */
export function processesAbout(folder: string): number[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
  const about = (pid: string) =>
    [() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'), () => readFileSync(`/proc/${pid}/environ`, 'latin1')]
      .concat(['cwd', 'fd/1', 'fd/3', 'fd/4'].map((link) => () => readlinkSync(`/proc/${pid}/${link}`)))
      .map((read) => {
        try {
          return read()
        } catch {
          // It ended meanwhile, or has no such descriptor.
          return ''
        }
      })
  return pids.filter((pid) => about(pid).some((text) => text.includes(folder))).map(Number)
}
