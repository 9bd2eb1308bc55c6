import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { codeOf } from '../lib/error-code.ts'

/** Up to where a log was read. `of` names this boot, or this file: what another one says is all new. */
export interface LogPlace {
  readonly path: string
  readonly of: string
  readonly at: number
}

/** The kernel's log from some place on; each line is given once. */
export interface KernelLog {
  readonly place: LogPlace
  /** @throws when the log cannot be read any more. */
  read(): string[]
}

const device = '/dev/kmsg'
/** Where systems keep it; the files are for those that let only root read the device. Debian and Ubuntu, then Red Hat. */
const places = [device, '/var/log/kern.log', '/var/log/messages']

/** The first that can be read, or null. `from` null: what is in it now is passed over, for it is about an earlier time. */
export function openKernelLog(path: string | null, from: LogPlace | null): KernelLog | null {
  for (const place of path === null ? places : [path]) {
    const before = from?.path === place ? from : null
    try {
      return place === device ? new Device(before) : new LogFile(place, before)
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'EPERM'].includes(codeOf(error))) throw error
    }
  }
  return null
}

// The kernel refuses to give a record to a buffer that may be too small for it (`CONSOLE_EXT_LOG_MAX`).
const recordMax = 8_192

class Device implements KernelLog {
  readonly #file = openSync(device, constants.O_RDONLY | constants.O_NONBLOCK)
  readonly #boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  readonly #buffer = Buffer.alloc(recordMax)
  #at: number

  constructor(from: LogPlace | null) {
    this.#at = from?.of === this.#boot ? from.at : -1
    if (from === null) this.read()
  }

  get place(): LogPlace {
    return { path: device, of: this.#boot, at: this.#at }
  }

  read(): string[] {
    const lines: string[] = []
    for (let record = this.#next(); record !== null; record = this.#next()) {
      const { seq, text } = record
      // It is read from its oldest record on, whatever an earlier life of ours had read.
      if (seq > this.#at) lines.push(text)
      this.#at = Math.max(this.#at, seq)
    }
    return lines
  }

  /** Null: there is none yet. */
  #next(): { seq: number; text: string } | null {
    for (;;) {
      try {
        const text = this.#buffer.toString('utf8', 0, readSync(this.#file, this.#buffer))
        return readRecord(text)
      } catch (error) {
        if (codeOf(error) === 'EAGAIN') return null
        // The kernel has thrown away what we were about to read; the next read begins with what it still has.
        if (codeOf(error) !== 'EPIPE') throw error
      }
    }
  }
}

/** `priority,number,microseconds,flags;text`, then lines that describe the device. */
export function readRecord(record: string): { seq: number; text: string } {
  const [line = ''] = record.split('\n')
  const head = line.indexOf(';')
  return { seq: Number(line.slice(0, head).split(',')[1]), text: line.slice(head + 1) }
}

const chunk = 65_536

class LogFile implements KernelLog {
  readonly #path: string
  #of: string
  #at: number

  constructor(path: string, from: LogPlace | null) {
    this.#path = path
    this.#of = from?.of ?? ''
    this.#at = from?.at ?? 0
    this.#within((file) => {
      if (from === null) this.#at = fstatSync(file).size
    })
  }

  get place(): LogPlace {
    return { path: this.#path, of: this.#of, at: this.#at }
  }

  /** Whole lines. */
  read(): string[] {
    return this.#within((file) => {
      const buffer = Buffer.alloc(chunk)
      const lines: string[] = []
      for (;;) {
        const text = buffer.toString('latin1', 0, readSync(file, buffer, 0, chunk, this.#at))
        // A line that fills the buffer is none of the kernel's.
        const end = text.length === chunk && !text.includes('\n') ? chunk : text.lastIndexOf('\n') + 1
        if (end === 0) return lines
        this.#at += end
        lines.push(...text.slice(0, end).split('\n').filter(Boolean))
      }
    })
  }

  /** Opened anew each time, for a log that has grown old is put aside under another name. */
  #within<T>(work: (file: number) => T): T {
    const file = openSync(this.#path, 'r')
    try {
      const { ino, size } = fstatSync(file)
      const isOther = this.#of !== '' && this.#of !== String(ino)
      this.#of = String(ino)
      if (isOther || size < this.#at) this.#at = 0
      return work(file)
    } finally {
      closeSync(file)
    }
  }
}
