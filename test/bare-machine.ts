import { type ChildProcess, execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parse } from 'yaml'
import { failureOfJob } from '../src/clouds/skypilot/job-watch.ts'
import { type TaskParts, taskFile } from '../src/clouds/skypilot/task.ts'
import type { FailureRecord } from '../src/core/failure.ts'
import type { Artefact, ArtefactIndex } from '../src/wire/artefacts.ts'
import { barePath, type PutProgram, programAt, putStandIn, type StandIn, standIns } from './bare-path.ts'

export const version = '1.2.3'
export const joinToken = 'fd_join_secret'
const executable = '#!/bin/sh\n[ "$1" = --version ] || echo "the executable runs: $1"\n'
// Larger than the disk of a machine whose disk is full.
const bundle = `console.log('the bundle runs:', process.argv[2])\n// ${'x'.repeat(300_000)}\n`
const loop = `env | sort; echo "tokens: $(env | grep -c fd_join_secret)"; $FLIGHTDECK_NODE_BIN "$FLIGHTDECK_AGENT" run\n`

/** What `dist/agent` holds, with an agent that only says that it runs. */
export function makeAgentFiles(dir: string, program = executable): ArtefactIndex {
  const folder = join(dir, version)
  mkdirSync(folder, { recursive: true })
  const put = (file: string, body: string | Buffer, platform: Artefact['platform']): Artefact => {
    writeFileSync(join(folder, file), body)
    const sha256 = createHash('sha256').update(body).digest('hex')
    return { file, sha256, bytes: Buffer.byteLength(body), platform, tested: true }
  }
  const artefacts = [
    put('agent.cjs', bundle, 'node'),
    put('loop.sh', loop, 'sh'),
    ...(['linux-x64', 'linux-arm64'] as const).flatMap((platform) => [
      put(`agent-${platform}`, program, platform),
      put(`agent-${platform}.gz`, gzipSync(program), platform),
    ]),
  ]
  const index = { version, protocol: 1, artefacts }
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index))
  return index
}

/** A folder on the web; `asked` are the names of the files that were asked for. */
export interface Mirror {
  readonly url: string
  readonly asked: string[]
  close(): Promise<void>
}

/** The first `cuts` answers break off half way. */
export async function startMirror(read: (path: string) => Buffer | null, cuts = 0): Promise<Mirror> {
  const asked: string[] = []
  const server: Server = createServer(({ url = '' }, response) => {
    asked.push(url.split('/').at(-1) ?? '')
    const body = read(url) ?? Buffer.alloc(0)
    response.writeHead(body.length > 0 ? 200 : 404, { 'content-length': body.length })
    if (asked.length > cuts) response.end(body)
    else response.write(body.subarray(0, body.length / 2), () => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** What every machine has. */
const always = ['sh', 'chmod', 'df', 'env', 'grep', 'mkdir', 'mv', 'rm', 'sort', 'uname']
const base = {
  name: 'fd-x-1',
  joinToken,
  nodeBin: 'node',
  cpus: null,
  memoryGib: null,
  diskGib: null,
  image: null,
  autodown: false,
}
const offer = { id: 'o', cloud: 'aws', region: 'r', gpu: null, gpuCount: 0, vramGib: 0, spot: false }

type Task = Pick<TaskParts, 'agent' | 'controlUrl'> & Partial<TaskParts>

export interface SetUp {
  /** All that the job printed. */
  readonly lines: string[]
  /** As the control plane reads it; null: the machine became its loop. */
  readonly failure: FailureRecord | null
}

const isOfThisHost = (name: string): boolean => name !== 'node' && !standIns.includes(name as StandIn)

/** A machine that has a shell and little else. */
export class BareMachine {
  readonly home = mkdtempSync(join(tmpdir(), 'fd-machine-'))
  readonly #tools = mkdtempSync(join(tmpdir(), 'fd-tools-'))
  readonly path: string
  /** What its system has set besides. */
  readonly variables: Record<string, string> = {}
  #mounted = false

  /** `put` brings what this host need not have. */
  constructor(has: readonly string[], put: PutProgram = putStandIn) {
    const [apart, ofThisHost] = [standIns.filter((name) => has.includes(name)), has.filter(isOfThisHost)]
    this.path = barePath(this.#tools, [...always, ...ofThisHost])
    // Nobody is waited for, unless that is wished.
    if (!has.includes('sleep')) symlinkSync(programAt('true') ?? '', join(this.path, 'sleep'))
    if (has.includes('node')) symlinkSync(process.execPath, join(this.path, 'node'))
    for (const name of apart) put(this.path, name)
  }

  /** A program of the machine's own. */
  put(name: string, script: string): void {
    // What is there is a link to the program of this very host.
    rmSync(join(this.path, name), { force: true })
    writeFileSync(join(this.path, name), script, { mode: 0o755, flag: 'wx' })
  }

  /** Starts the task as it is rendered. */
  start(parts: Task, ended: Parameters<typeof execFile>[3]): ChildProcess {
    const whole = { ...base, controlFingerprint: null, directPort: null, ...parts }
    const task = parse(taskFile({ ...whole, offer: { ...offer, pricePerHourMicroUsd: 1, available: null } }))
    const env = { PATH: this.path, HOME: this.home, ...this.variables, ...task.envs, ...task.secrets }
    return execFile('/bin/bash', ['-c', task.run], { env }, ended)
  }

  /** Runs it to its end, and reads that as the control plane does. */
  run(parts: Task): Promise<SetUp> {
    return new Promise((resolve) => {
      this.start(parts, (error, stdout, stderr) => {
        const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '')
        resolve({ lines, failure: error ? failureOfJob('FAILED', lines) : null })
      })
    })
  }

  /** From now on its disk is this small. Only where `mayLimitDisks`. */
  limitDisk(kib: number): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', this.home])
    this.#mounted = true
  }

  clean(): void {
    if (this.#mounted) execFileSync('umount', [this.home])
    this.#mounted = false
    rmSync(this.home, { recursive: true, force: true })
    rmSync(this.#tools, { recursive: true, force: true })
  }
}

/** Root may, but not in every container. */
export function mayLimitDisks(): boolean {
  const machine = new BareMachine([])
  try {
    machine.limitDisk(64)
    return true
  } catch {
    // Then it may not, whatever the reason.
    return false
  } finally {
    machine.clean()
  }
}
