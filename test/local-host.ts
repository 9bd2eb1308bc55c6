// A host for tests of the local cloud: an agent and an nvidia-smi of ours, and nothing of it left at the end.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { CloudOnTrial } from '../src/clouds/conformance.ts'
import { LocalCloud, type LocalCloudOptions } from '../src/clouds/local/local.ts'
import { machineProcesses, signalProcess } from '../src/clouds/local/processes.ts'
import { randomName } from '../src/lib/chance.ts'
import { systemClock } from '../src/lib/clock.ts'

const loopFile = join(import.meta.dirname, '../src/agent/loop.sh')
const deadline = { timeout: 15_000, interval: 50 }

export interface Local extends CloudOnTrial {
  readonly install: string
  readonly options: LocalCloudOptions
  readonly pids: (name: string) => Promise<number[]>
  readonly ask: (name: string, over?: Partial<CloudOnTrial['offer']>) => ReturnType<LocalCloud['ensureMachine']>
  /** Asks for its end until nothing of it is left. */
  readonly end: (name: string) => Promise<void>
}

export class TestHost {
  readonly folder = mkdtempSync(join(tmpdir(), 'fd-local-'))
  /** Begins the UUIDs of this host's GPUs: another run of the tests on this machine has others. */
  readonly #run = randomName(8)
  readonly #installs: string[] = []
  readonly #pathBefore = process.env.PATH

  constructor() {
    // Stands for the agent: it needs no control and ends when it is told to.
    this.agentIs('exec sleep 300')
  }

  agentIs(script: string): void {
    writeFileSync(join(this.folder, 'agent.sh'), `${script}\n`)
  }

  /** Puts an nvidia-smi in front of whatever there is. */
  hasGpus(gpus: readonly string[]): void {
    const bin = join(this.folder, 'bin')
    mkdirSync(bin, { recursive: true })
    const lines = gpus.map((gpu, i) => `echo "${i}, ${this.uuid(i)}, ${gpu}"`)
    writeFileSync(join(bin, 'nvidia-smi'), ['#!/bin/sh', ...lines, gpus.length === 0 ? 'exit 9' : ''].join('\n'))
    chmodSync(join(bin, 'nvidia-smi'), 0o755)
    process.env.PATH = `${bin}:${this.#pathBefore}`
  }

  uuid(index: number): string {
    return `GPU-${this.#run}-${index}`
  }

  /** An install of its own on this host, with a data folder of its own. */
  async install(over: Partial<LocalCloudOptions> = {}): Promise<Local> {
    const install = randomName(5)
    this.#installs.push(install)
    const options = this.#optionsFor(install, over)
    const cloud = new LocalCloud(options)
    const [offer] = await cloud.offers()
    assert.ok(offer)
    const until: Local['until'] = (what, holds) => vi.waitFor(async () => assert.ok(await holds(), what), deadline)
    return {
      install,
      options,
      cloud,
      offer,
      newName: () => `fd-${install}-${randomName(6)}`,
      until,
      pids: async (name) => (await machineProcesses(name)).map(({ pid }) => pid),
      ask: (name, offered = {}) =>
        cloud.ensureMachine({ name, offer: { ...offer, ...offered }, joinToken: 'fd_join_x' }),
      end: (name) =>
        until(`${name} is gone`, async () => {
          await cloud.ensureGone(name)
          return !(await cloud.listMachines()).some((machine) => machine.name === name)
        }),
    }
  }

  #optionsFor(install: string, over: Partial<LocalCloudOptions>): LocalCloudOptions {
    return {
      name: 'local',
      clock: systemClock,
      install,
      folder: join(this.folder, install),
      controlUrl: 'http://127.0.0.1:1',
      agentFile: join(this.folder, 'agent.sh'),
      loopFile,
      nodeBin: '/bin/sh',
      pricePerHourMicroUsd: 1_000_000,
      maxMachines: 4,
      env: {},
      loadLimitMs: 60_000,
      drainLimitMs: 10_000,
      endGraceMs: 10_000,
      ...over,
    }
  }

  async end(): Promise<void> {
    process.env.PATH = this.#pathBefore
    for (const install of this.#installs) {
      await vi.waitFor(async () => {
        const left = await machineProcesses(`fd-${install}-`, join(this.folder, install, 'machines'))
        for (const { pid } of left) signalProcess(pid, 'SIGKILL')
        assert.deepEqual(left, [])
      }, deadline)
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}
