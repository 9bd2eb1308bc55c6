// The proxies of the gateway's benchmark: each is a process of its own on one core, before an engine of its own.
// Deliberately absent: what is measured and how it is summed up.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { FakeControl } from '../src/gateway/fake-control.ts'
import { apiKey, credentialOf, routed, tableOf } from '../src/gateway/fake-world.ts'
import { programAt } from '../test/bare-path.ts'
import { installFromDebian } from '../test/real/debian-packages.ts'

export interface Subject {
  readonly name: string
  readonly port: number
  /** The process whose CPU time counts; undefined where there is none between client and engine. */
  readonly pid: number | undefined
}

export const key = apiKey
export const proxyCore = 0
export const peerCore = 1
const chunks = 64
/** 5 ms between tokens: 200 tokens a second, a fast engine. */
const gapUs = 5_000

/** Starts and ends what the benchmark needs. Everything started here is ended here, by its own handle. */
export class Stage {
  readonly #dir: string
  readonly #children: ChildProcess[] = []
  readonly #closers: (() => Promise<void>)[] = []

  constructor(dir: string) {
    this.#dir = dir
  }

  get peers(): string {
    return join(this.#dir, 'peers')
  }

  compile() {
    if (programAt('gcc') === null) installFromDebian('gcc', 'libc6-dev')
    execFileSync('gcc', ['-O2', '-o', this.peers, join(import.meta.dirname, 'gateway-peers.c')], { stdio: 'inherit' })
  }

  async direct(): Promise<Subject> {
    return { name: 'direct', port: await this.#engine(), pid: undefined }
  }

  async nginx(): Promise<Subject> {
    const binary = ['/usr/local/sbin/nginx'].find(existsSync) ?? '/usr/sbin/nginx'
    if (!existsSync(binary)) installFromDebian('nginx')
    const port = await freePort()
    const dir = join(this.#dir, 'nginx')
    await mkdir(join(dir, 'temp'), { recursive: true })
    await writeFile(join(dir, 'nginx.conf'), nginxConfig(dir, port, await this.#engine()))
    const child = this.#start(binary, ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')])
    await listens(port)
    return { name: 'nginx', port, pid: child.pid }
  }

  async pipe(): Promise<Subject> {
    const file = join(import.meta.dirname, 'gateway-pipe.ts')
    const child = this.#start(process.execPath, [file, String(await this.#engine())])
    return { name: 'node:http pipe', port: Number(((await firstLine(child)) as { port: number }).port), pid: child.pid }
  }

  /** The real process with keys, usage, journal and reports; its engine dials it, as agents do. */
  async gateway(): Promise<Subject> {
    const node = routed('bench', { servedName: 'bench' })
    const table = tableOf([node])
    const control = new FakeControl({ ...table, models: [{ id: 'bench', created: 1, ownedBy: 'bench' }] })
    await control.listen()
    this.#closers.push(() => control.close())
    await writeFile(join(this.#dir, 'token'), 'fd_gw_token-of-the-test')
    const main = join(import.meta.dirname, '../src/main/gateway.ts')
    const flags = process.env.BENCH_GATEWAY_FLAGS?.split(' ') ?? []
    const child = this.#start(process.execPath, [...flags, main], {
      ...process.env,
      FLIGHTDECK_GATEWAY_LISTEN: '127.0.0.1:0',
      FLIGHTDECK_CONTROL_URL: control.url,
      FLIGHTDECK_GATEWAY_TOKEN_FILE: join(this.#dir, 'token'),
      FLIGHTDECK_GATEWAY_DIR: join(this.#dir, 'gateway'),
    })
    const { port } = (await firstLine(child)) as { port: number }
    await control.until((reports) => reports.some((report) => report.tableVersion !== null))
    await this.#engine(String(port), credentialOf('bench'), '96')
    await control.until((reports) => reports.some(({ probes }) => probes[0]?.good))
    return { name: 'flightdeck', port, pid: child.pid }
  }

  async #engine(...dial: string[]): Promise<number> {
    const child = this.#start(this.peers, ['engine', String(chunks), String(gapUs), ...dial], process.env, peerCore)
    return Number(await firstLine(child))
  }

  #start(command: string, args: string[], env = process.env, core = proxyCore): ChildProcess {
    const stdio = ['ignore', 'pipe', 'inherit'] as const
    const child = spawn('taskset', ['-c', String(core), command, ...args], { env, stdio: [...stdio] })
    this.#children.push(child)
    return child
  }

  async end() {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    for (const close of this.#closers) await close()
  }
}

/** User and system time of a process and its ended children, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // Behind the name, which may hold anything: utime, stime, cutime and cstime are fields 14 to 17, in ticks of 10 ms.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
}

/** One worker that is its own master, connections to the engine kept, nothing buffered, nothing logged. */
const nginxConfig = (dir: string, port: number, engine: number) => `
daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${dir}/temp; proxy_temp_path ${dir}/temp; fastcgi_temp_path ${dir}/temp;
  uwsgi_temp_path ${dir}/temp; scgi_temp_path ${dir}/temp;
  keepalive_requests 100000000; keepalive_timeout 75s; client_max_body_size 32m; tcp_nodelay on;
  upstream engine { server 127.0.0.1:${engine}; keepalive 512; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering on; proxy_read_timeout 600s;
    }
  }
}`

async function firstLine(child: ChildProcess): Promise<unknown> {
  if (!child.stdout) throw new Error('The process has no output to read.')
  for await (const line of createInterface(child.stdout)) return JSON.parse(line)
  throw new Error(`${child.spawnargs.join(' ')} ended without a word.`)
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function listens(port: number) {
  for (const until = performance.now() + 5_000; performance.now() < until; ) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null)
    if (answer) return answer.body?.cancel()
  }
  throw new Error(`Nothing listens on ${port}.`)
}
