import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { randomName } from '../lib/chance.ts'
import { pause } from '../lib/clock.ts'
import type {
  AgentReply,
  EngineSpec,
  Heartbeat,
  Installation,
  JoinReply,
  JoinRequest,
  NoticeReport,
  ProgressReport,
} from '../wire/agent.ts'
import { agentPaths, reverse } from '../wire/paths.ts'
import { processesWith } from './proc.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const credential = 'fd_node_0123456789abcdef0123456789abcdef'
export const joinToken = 'fd_join_0123456789abcdef0123456789abcdef'

/** Waits for something to become true; fails loudly instead of hanging. */
export async function until<T>(what: string, look: () => T | null | undefined | false, limitMs = 30_000): Promise<T> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const found = look()
    if (found) return found
    if (performance.now() > deadline) throw new Error(`It never came true within ${limitMs} ms: ${what}.`)
    await pause(10)
  }
}

export function simEngine(sim: object = { startupMs: 50 }, over: Partial<EngineSpec> = {}): EngineSpec {
  const program = [process.execPath, here('../main/engine-sim.ts')]
  return {
    engine: 'sim',
    servedName: 'tiny',
    argv: [...program, '--model', 'tiny', '--served-model-name', 'tiny', '--host', '127.0.0.1', '--port', '{port}'],
    env: { FLIGHTDECK_SIM: JSON.stringify(sim) },
    healthPath: '/health',
    maxRestarts: 3,
    stopGraceMs: 5_000,
    ...over,
  }
}

/** A control plane and a gateway in one process of the test; what it answers can be changed at any time. */
export class FakeControl {
  readonly server: Server = createServer((incoming, response) => void this.#answer(incoming, response))
  readonly joins: JoinRequest[] = []
  readonly heartbeats: Heartbeat[] = []
  readonly reports: (ProgressReport & { at: number })[] = []
  readonly notices: NoticeReport[] = []
  readonly upgrades: string[] = []
  readonly spares: Socket[] = []
  readonly #agents = new WeakMap<Socket, Agent>()
  readonly secrets: Record<string, string> = { HF_TOKEN: 'hf_a_secret_word' }
  reply: AgentReply = { order: 'run', drainDeadlineMs: null, gateways: [], heartbeatMs: 200, leaseMs: 60_000 }
  /** Answers these statuses instead of the true one. */
  refuse: { join?: number; agent?: number; connect?: number } = {}
  /** Takes the next join and loses the reply on its way. */
  loseJoinReply = false
  /** Of the agent that was last accepted. */
  incarnation: string | null = null
  engine: EngineSpec
  install: Installation | null = null
  noticeService: JoinReply['noticeService'] = null
  url = ''

  constructor(engine: EngineSpec) {
    this.engine = engine
    this.server.on('upgrade', (incoming, socket) => this.#upgraded(incoming, socket))
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
    this.reply = { ...this.reply, gateways: [{ id: 'gw1', url: this.url, fingerprint: null }] }
  }

  async close(): Promise<void> {
    for (const socket of this.spares) socket.destroy()
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  get beat(): Heartbeat | undefined {
    return this.heartbeats.at(-1)
  }

  get lines(): ProgressReport['lines'] {
    return this.reports.flatMap(({ lines }) => lines)
  }

  get failure(): ProgressReport['failure'] {
    return this.reports.find(({ failure }) => failure)?.failure ?? null
  }

  answered(): number {
    return this.reports.filter(({ answeredAgoMs }) => answeredAgoMs !== null).length
  }

  /** A request over a lent socket, as a gateway sends it. Resolves with the response as soon as its head is there. */
  async send(method: string, path: string, body: object | null = null, extra = {}): Promise<IncomingMessage> {
    const socket = await until('a spare socket', () => this.spares.shift())
    const text = body === null ? '' : JSON.stringify(body)
    const headers = { 'content-length': Buffer.byteLength(text), 'content-type': 'application/json', ...extra }
    const agent = this.#agentOf(socket)
    return new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', method, path, headers, agent }, resolve)
      call.on('error', reject)
      call.end(text)
    })
  }

  /** One pool for each socket: it lends the socket once and then keeps it alive, as a gateway's does. */
  #agentOf(socket: Socket): Agent {
    const known = this.#agents.get(socket)
    if (known) return known
    const agent = new Agent({ keepAlive: true })
    agent.createConnection = () => socket
    agent.on('free', (free: Socket) => {
      if (!free.destroyed) this.spares.push(free)
    })
    this.#agents.set(socket, agent)
    return agent
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse((await textOf(incoming)) || '{}') as unknown
    const { authorization } = incoming.headers
    if (incoming.url === agentPaths.join) return this.#join(authorization, body as JoinRequest, incoming, response)
    if (this.refuse.agent) return send(response, this.refuse.agent, {})
    if (authorization !== `Bearer ${credential}`) return send(response, 401, {})
    if (!this.#admits(body as ProgressReport)) return send(response, 409, {})
    if (incoming.url === agentPaths.heartbeat) this.heartbeats.push(body as Heartbeat)
    else if (incoming.url === agentPaths.notice) this.notices.push(body as NoticeReport)
    else this.reports.push({ ...(body as ProgressReport), at: performance.now() })
    send(response, 200, this.reply)
  }

  /** Control's own rule: the start that we know, or one that names it as its predecessor. */
  #admits({ incarnation, previous }: { incarnation: string; previous: string | null }): boolean {
    if (incarnation !== this.incarnation && this.incarnation !== null && previous !== this.incarnation) return false
    this.incarnation = incarnation
    return true
  }

  #join(bearer: string | undefined, body: JoinRequest, incoming: IncomingMessage, response: ServerResponse): void {
    this.joins.push(body)
    this.incarnation = body.incarnation
    const { gateways, heartbeatMs, leaseMs } = this.reply
    const { engine, install, secrets, noticeService } = this
    const terms = { engine, install, secrets, gateways, direct: null, heartbeatMs, leaseMs, noticeService }
    const reply: JoinReply = { nodeId: 'n1', credential, ...terms }
    if (this.refuse.join) send(response, this.refuse.join, { error: { cause: 'no such join token' } })
    else if (bearer !== `Bearer ${joinToken}`) send(response, 401, {})
    else if (this.loseJoinReply) incoming.socket.destroy()
    else send(response, 200, reply)
    this.loseJoinReply = false
  }

  #upgraded(incoming: IncomingMessage, socket: Duplex): void {
    const { authorization, upgrade } = incoming.headers
    const known = authorization === `Bearer ${credential}` && upgrade === reverse.protocol
    socket.on('error', () => socket.destroy())
    if (this.refuse.connect || !known) {
      socket.end(`HTTP/1.1 ${this.refuse.connect ?? 401} No\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    this.upgrades.push(String(incoming.headers[reverse.incarnationHeader]))
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${reverse.protocol}\r\n\r\n`)
    socket.once('close', () => {
      const at = this.spares.indexOf(socket as Socket)
      if (at >= 0) this.spares.splice(at, 1)
    })
    // Sockets of an HTTP server may stay half open and start paused: without these two lines an end is never seen.
    socket.once('end', () => socket.end())
    socket.resume()
    this.spares.push(socket as Socket)
  }
}

export async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of incoming.setEncoding('utf8')) text += piece
  return text
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** One machine: its folder, its loops, and what runs under its name. */
export class Machine {
  readonly name = `fd-test-${randomName(8)}`
  readonly dir = mkdtempSync(join(tmpdir(), 'fd-node-'))
  readonly loops: ChildProcess[] = []
  readonly #control: FakeControl
  readonly #extra: Record<string, string>

  constructor(control: FakeControl, extra: Record<string, string> = {}) {
    this.#control = control
    this.#extra = extra
    writeFileSync(join(this.dir, 'join-token'), `${joinToken}\n`, { mode: 0o600 })
  }

  environment(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.dir,
      FLIGHTDECK_MACHINE: this.name,
      FLIGHTDECK_CONTROL_URL: this.#control.url,
      FLIGHTDECK_JOIN_TOKEN_FILE: join(this.dir, 'join-token'),
      FLIGHTDECK_NODE_DIR: this.dir,
      FLIGHTDECK_NODE_BIN: process.execPath,
      FLIGHTDECK_AGENT: here('../main/agent.ts'),
      ...this.#extra,
    }
  }

  startLoop(): ChildProcess {
    const loop = spawn('sh', [here('loop.sh')], { env: this.environment(), stdio: ['ignore', 'ignore', 'pipe'] })
    this.loops.push(loop)
    loop.stderr?.resume()
    return loop
  }

  /** What a thief or a careless snapshot makes of a node: its disk under another machine. */
  copy(): Machine {
    const copy = new Machine(this.#control, this.#extra)
    for (const file of ['instance', 'incarnation', 'credential.json', 'secrets.json'])
      writeFileSync(join(copy.dir, file), this.read(file), { mode: 0o600 })
    return copy
  }

  set(name: string, value: string): void {
    this.#extra[name] = value
  }

  /** A process in a group of its own that has nothing to do with this machine. */
  startBystander(): ChildProcess {
    return spawn('sleep', ['300'], { detached: true, env: { PATH: process.env['PATH'] ?? '' }, stdio: 'ignore' })
  }

  /** Pids of everything that carries the machine's name. */
  processes(): number[] {
    return processesWith([`FLIGHTDECK_MACHINE=${this.name}`])
  }

  engines(): number[] {
    return processesWith([`FLIGHTDECK_MACHINE=${this.name}`, 'FLIGHTDECK_ENGINE=1'])
  }

  agentPid(): number | null {
    const notAgent = new Set([...this.engines(), ...this.loops.map(({ pid }) => pid)])
    const isAgent = (pid: number) => !notAgent.has(pid) && commandOf(pid).includes('agent.ts')
    return this.processes().find(isAgent) ?? null
  }

  read(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8')
  }

  tryRead(file: string): string | null {
    return readOrNothing(join(this.dir, file)) || null
  }

  /** Ends what is left the way an operator would; returns pids that survived, and ends those. */
  async clean(): Promise<number[]> {
    for (const loop of this.loops) if (loop.exitCode === null) loop.kill('SIGTERM')
    await until('every loop has ended', () => this.loops.every((loop) => hasEnded(loop)), 20_000)
    const left = this.processes()
    for (const pid of left) process.kill(pid, 'SIGKILL')
    rmSync(this.dir, { recursive: true, force: true })
    return left
  }
}

export const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** Every process on this host whose command line holds the text. */
export const allWith = (text: string): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => commandOf(pid).includes(text))

export const commandOf = (pid: number): string => readOrNothing(`/proc/${pid}/cmdline`)
export const environmentOf = (pid: number): string => readOrNothing(`/proc/${pid}/environ`)

/** A process that ended a moment ago has nothing to say. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
