import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** All that the agent's loop needs of a machine; flock is used where it is. */
export const loopTools = ['sh', 'chmod', 'date', 'env', 'flock', 'grep', 'ln', 'mkdir', 'mv', 'rm', 'sleep']

/** What a machine may have and this host need not. */
export const standIns = ['curl', 'wget', 'python3', 'shasum', 'openssl'] as const
export type StandIn = (typeof standIns)[number]

/** Where a program really is; null where this machine has none. */
export function programAt(name: string): string | null {
  const places = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  const found = places.find((path) => existsSync(path))
  return found ? realpathSync(found) : null
}

/** A PATH with these programs and no others, as on a machine that has little. One that is missing here is missing there. */
export function barePath(folder: string, names: readonly string[]): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const name of names) {
    const program = programAt(name)
    if (program !== null && !existsSync(join(bin, name))) symlinkSync(program, join(bin, name))
  }
  return bin
}

/** Puts a program of that name into a folder of programs. */
export type PutProgram = (bin: string, name: StandIn) => void

/** It does what the real one would, as far as we use it. */
export const putStandIn: PutProgram = (bin, name) => {
  const node = `"${process.execPath}" --disable-warning=ExperimentalWarning`
  const script = `#!/bin/sh\nexec ${node} "${join(import.meta.dirname, 'stand-in.ts')}" "${name}" "$@"\n`
  writeFileSync(join(bin, name), script, { mode: 0o755, flag: 'wx' })
}
