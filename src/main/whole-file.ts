import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf } from '../lib/error-code.ts'

/** Puts a file in its place at once: whoever reads it, also beside another writer, finds the old one or the new one whole. */
export function writeWhole(file: string, body: Uint8Array | string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true })
  const partial = `${file}.${process.pid}`
  writeFileSync(partial, body, { mode })
  renameSync(partial, file)
}

/** Takes away what killed processes left unfinished in the folder: the pattern's group is the pid in such a name. */
export function dropAbandoned(folder: string, partial: RegExp): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    const pid = Number(partial.exec(name)?.[1])
    if (pid > 0 && !isAlive(pid)) rmSync(join(folder, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}
