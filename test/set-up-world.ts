import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { startTestApi } from '../src/api/api-for-tests.ts'
import { fingerprintOf, makeAuthority } from '../src/lib/certificate.ts'
import { certificateFrom } from '../src/lib/certificate-source.ts'
import { systemClock } from '../src/lib/clock.ts'
import { agentFilesOf } from '../src/main/skypilot.ts'
import { BareMachine, type Mirror, makeAgentFiles, startMirror } from './bare-machine.ts'
import { type PutProgram, putStandIn } from './bare-path.ts'

export const flipped = (file: Buffer): Buffer => {
  const changed = Buffer.from(file)
  changed[0] = (changed[0] ?? 0) ^ 1
  return changed
}

/** A control plane with an authority of its own, and machines that fetch their agent from it. */
export async function startSetUpWorld(put: PutProgram = putStandIn) {
  const agentDir = mkdtempSync(join(tmpdir(), 'fd-agents-'))
  const index = makeAgentFiles(agentDir)
  const authority = makeAuthority('tests', { now: systemClock.now(), days: 1 })
  const certificate = certificateFrom(authority, ['localhost', '127.0.0.1'], systemClock)
  const control = await startTestApi({ agentDir, certificate })
  return {
    control,
    index,
    fingerprint: fingerprintOf(authority.cert),

    /** A machine with these programs; it goes with the test. */
    machineWith(...has: string[]): BareMachine {
      const machine = new BareMachine(has, put)
      onTestFinished(() => machine.clean())
      return machine
    },

    parts(mirrors: readonly string[] = [], controlUrl = control.api.url) {
      return { controlUrl, agent: agentFilesOf(index, [...mirrors, `${controlUrl}/downloads/agent`]) }
    },

    /** A mirror of what lies in the agent's folder, changed by `alter`. Its first `cuts` answers break off half way. */
    async mirrorOf(alter: (file: Buffer, path: string) => Buffer = (file) => file, cuts = 0): Promise<Mirror> {
      const read = (path: string) => {
        const file = join(agentDir, path)
        return existsSync(file) ? alter(readFileSync(file), path) : null
      }
      const mirror = await startMirror(read, cuts)
      onTestFinished(() => mirror.close())
      return mirror
    },

    async end(): Promise<void> {
      await control.end()
      certificate.close()
      rmSync(agentDir, { recursive: true })
    },
  }
}

export type SetUpWorld = Awaited<ReturnType<typeof startSetUpWorld>>
