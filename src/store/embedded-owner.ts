import { spawnSync } from 'node:child_process'
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isDead, parseStat } from '../lib/proc-stat.ts'
import { EmbeddedError, unless } from './embedded-error.ts'

interface OwnerRecord {
  pid: number
  /** When the process started: a number that a later process with the same pid cannot have. */
  started: string
  /** The pid namespace. The pids of another container say nothing here. */
  space: string
}

export interface Ownership {
  /** The last owner ran in another container and may be alive; only its database server can tell. */
  takenFromElsewhere: boolean
  release(): void
}

/**
 * Makes this process the only owner of what `file` guards. A dead owner's claim is taken over.
 * Throws `EmbeddedError('owned')` while another process, or this one, holds it.
 */
export function takeOwnership(file: string): Ownership {
  const mine: OwnerRecord = { pid: process.pid, started: startOf(process.pid) ?? '', space: pidSpace() }
  const text = writeRecord(mine)
  const draft = `${file}.${process.pid}`
  let takenFromElsewhere = false
  writeFileSync(draft, text)
  try {
    // A link appears with its content or not at all, so a reader never sees half a record.
    while (unless(['EEXIST'], () => linkSync(draft, file) ?? true) === undefined) {
      const found = unless(['ENOENT'], () => readFileSync(file, 'utf8'))
      if (found === undefined) continue
      const owner = parseRecord(found)
      if (owner && isRunning(owner)) throw owned(owner.pid)
      takenFromElsewhere = owner !== undefined && owner.space !== mine.space
      putAside(file, found)
    }
  } finally {
    rmSync(draft, { force: true })
  }
  return { takenFromElsewhere, release: () => release(file, text) }
}

export function owned(pid: number | string): EmbeddedError {
  return new EmbeddedError(
    'owned',
    `Process ${pid} already uses this data folder.`,
    'Stop that process first, or start this one on another data folder.',
  )
}

function release(file: string, text: string): void {
  const found = unless(['ENOENT'], () => readFileSync(file, 'utf8'))
  if (found === text) rmSync(file, { force: true })
}

/** Removes a dead owner's record; one that somebody wrote in the meantime is put back. */
function putAside(file: string, deadRecord: string): void {
  const aside = `${file}.stale.${process.pid}`
  unless(['ENOENT'], () => {
    renameSync(file, aside)
    if (readFileSync(aside, 'utf8') !== deadRecord) unless(['EEXIST'], () => linkSync(aside, file))
    rmSync(aside, { force: true })
  })
}

/** Three lines: the order is that of `OwnerRecord`. */
function writeRecord({ pid, started, space }: OwnerRecord): string {
  return `${pid}\n${started}\n${space}\n`
}

function parseRecord(text: string): OwnerRecord | undefined {
  const [pid, started, space] = text.split('\n')
  return pid && started && space ? { pid: Number(pid), started, space } : undefined
}

function isRunning(owner: OwnerRecord): boolean {
  return owner.space === pidSpace() && startOf(owner.pid) === owner.started
}

function pidSpace(): string {
  if (process.platform !== 'linux') return process.platform
  return readlinkSync('/proc/self/ns/pid')
}

/** Undefined when no such process runs. */
export function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return askPs('lstart=', pid)
  const stat = parseStat(unless(['ENOENT', 'ESRCH'], () => readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? '')
  if (!stat || isDead(stat)) return undefined
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${stat.startTime}`
}

/** The command line, words parted by spaces; empty when it cannot be read. */
export function commandOf(pid: number): string {
  if (process.platform !== 'linux') return askPs('command=', pid) ?? ''
  return (
    unless(['ENOENT', 'ESRCH', 'EACCES'], () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')) ??
    ''
  )
}

function askPs(column: string, pid: number): string | undefined {
  const { status, stdout } = spawnSync('ps', ['-ww', '-o', column, '-p', String(pid)], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() || undefined : undefined
}
