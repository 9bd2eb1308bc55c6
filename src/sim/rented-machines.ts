import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FakeMetadata } from './metadata.ts'
import { SimSkyPilot } from './skypilot.ts'

/** What a machine was started with, as the API server was told it. */
export interface Rented {
  readonly name: string
  readonly envs: Readonly<Record<string, string>>
}

interface Task {
  readonly name: string
  readonly run: string
  readonly envs: Record<string, string>
  readonly secrets: object
}

const lookMs = 20

/**
 * The fake API server with machines that are processes: each runs its task as a rented machine would, with nothing of
 * ours in its environment but the task's own variables, and ends when its cluster does.
 */
export class SimRentedMachines {
  readonly sky = new SimSkyPilot()
  readonly rented: Rented[] = []
  readonly home = mkdtempSync(join(tmpdir(), 'fd-rented-'))
  /** What the image of these machines has set, besides where programs are. */
  imageEnv: Readonly<Record<string, string>> = {}
  /** What machines to come are started by, with their own command behind it: a network of their own, for one. */
  startedBy: readonly string[] = []
  /** The metadata services of the machines to come, in their order; a machine beyond them finds none. */
  readonly metadata: FakeMetadata[] = []
  readonly #running = new Map<string, ChildProcess>()
  readonly #timer = setInterval(() => this.#look(), lookMs)
  readonly #parse: (text: string) => unknown

  /** `parse` reads YAML. */
  constructor(parse: (text: string) => unknown) {
    this.#parse = parse
  }

  start(): Promise<string> {
    const smi = join(this.home, 'nvidia-smi')
    writeFileSync(smi, '#!/bin/sh\necho "0, GPU-0, NVIDIA H100 80GB HBM3, 81559, 0, 4, 30"\n')
    chmodSync(smi, 0o755)
    return this.sky.start()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    for (const name of [...this.#running.keys()]) this.#end(name)
    await this.sky.stop()
    rmSync(this.home, { recursive: true, force: true })
  }

  #look(): void {
    for (const { cluster_name: name, task } of this.sky.posted) {
      const jobs = this.sky.machines.get(String(name))?.jobs ?? []
      if (jobs.length > 0 && !this.rented.some((one) => one.name === name)) this.#begin(String(task))
    }
    for (const name of this.#running.keys()) {
      const ended = [...this.sky.requests.values()].some(
        (asked) => asked.verb === 'sky.down' && asked.clusterName === name,
      )
      if (ended && !this.sky.machines.has(name)) this.#end(name)
    }
  }

  #begin(text: string): void {
    const task = this.#parse(text) as Task
    this.rented.push({ name: task.name, envs: task.envs })
    const { PATH = '' } = process.env
    // No machine of a test may ask the address that clouds have it at: port 9 of this host has nobody.
    const metadata = { FLIGHTDECK_METADATA_URL: this.metadata.shift()?.url ?? 'http://127.0.0.1:9' }
    // Each finds the one H100 that was ordered.
    const image = { PATH: `${this.home}:${PATH}`, HOME: this.home, ...metadata, ...this.imageEnv }
    const env = { ...image, ...task.envs, ...task.secrets }
    const [program = '', ...words] = [...this.startedBy, '/bin/bash', '-c', task.run]
    const child = spawn(program, words, { detached: true, stdio: 'ignore', env })
    this.#running.set(task.name, child)
  }

  #end(name: string): void {
    const child = this.#running.get(name)
    this.#running.delete(name)
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    // The loop takes it as the end of its job, and with it goes the engine. One that was stopped has to move for that.
    process.kill(-child.pid, 'SIGCONT')
    child.kill('SIGTERM')
  }
}
