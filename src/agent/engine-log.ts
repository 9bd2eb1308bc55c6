import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeFileSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { createLogReader, type LogFinding, type LogReader } from './log-reader.ts'

export interface EngineLogEvents {
  readonly onFinding: (finding: LogFinding) => void
  readonly onLine: (text: string, place: { from: number; to: number }) => void
  /** The file was cut to nothing; places count from 0 again. */
  readonly onRestart: () => void
}

const pieceBytes = 64 * 1024
// One look never holds the event loop for more than some milliseconds; the next look goes on from there.
const bytesPerLook = 1024 * 1024
const defaultCutBytes = 64 * 1024 * 1024
const keptLines = 40
const lineBytesMax = 64 * 1024

/** Follows engine.log for one run of the engine: its reader sees all of the run, listeners only what is new to them. */
export class EngineLog {
  readonly reader: LogReader = createLogReader()
  readonly #file: number
  readonly #path: string
  readonly #events: EngineLogEvents
  readonly #reportFrom: number
  readonly #cutBytes: number
  #at: number
  #pending: Buffer = Buffer.alloc(0)
  #cut = false
  readonly #decoder = new StringDecoder('utf8')
  readonly #lastLines: string[] = []

  /** `from`: where the run begins. `reportFrom`: what lies before it was reported in an earlier life of the agent. */
  constructor(path: string, from: number, reportFrom: number, events: EngineLogEvents, cutBytes = defaultCutBytes) {
    this.#path = path
    this.#file = openSync(path, 'a+', 0o600)
    const { size } = fstatSync(this.#file)
    this.#at = from <= size ? from : 0
    this.#reportFrom = reportFrom <= size ? reportFrom : 0
    this.#events = events
    this.#cutBytes = cutBytes
  }

  /** Reads what is new; false when there is more than one look may take. */
  look(): boolean {
    const { size } = fstatSync(this.#file)
    if (size < this.#at) this.#startOver()
    const until = Math.min(size, this.#at + bytesPerLook)
    while (this.#at < until) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, until - this.#at))
      const bytes = readSync(this.#file, piece, 0, piece.length, this.#at)
      if (bytes === 0) break
      this.#take(piece.subarray(0, bytes))
    }
    const all = this.#at >= size
    if (all && size > this.#cutBytes) this.#cutFile(size)
    return all
  }

  /** The end of the log as evidence, oldest line first. */
  tail(maxChars: number): string {
    return this.#lastLines.join('\n').slice(-maxChars)
  }

  close(): void {
    closeSync(this.#file)
  }

  #take(piece: Buffer): void {
    const start = this.#at - this.#pending.length
    this.#at += piece.length
    const isNew = this.#at > this.#reportFrom || this.#cut
    for (const finding of this.reader.push(this.#decoder.write(piece))) if (isNew) this.#events.onFinding(finding)
    const bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, piece]) : piece
    let from = 0
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      this.#line(bytes.toString('utf8', from, end), start + from, start + end + 1)
      from = end + 1
    }
    this.#pending = bytes.subarray(from)
    if (this.#pending.length <= lineBytesMax) return
    this.#line(this.#pending.toString('utf8'), start + from, this.#at)
    this.#pending = Buffer.alloc(0)
  }

  #line(raw: string, from: number, to: number): void {
    // A progress bar rewrites its line: what was last to be seen stands for all of it.
    const text = raw.trimEnd().split('\r').at(-1) ?? ''
    if (!text.trim()) return
    this.#lastLines.push(text.slice(0, 1_000))
    if (this.#lastLines.length > keptLines) this.#lastLines.shift()
    if (to > this.#reportFrom || this.#cut) this.#events.onLine(text, { from, to })
  }

  /** The engine appends, so it goes on at the new end. What it writes between copy and cut is lost; the rest is kept. */
  #cutFile(size: number): void {
    const kept = Buffer.alloc(Math.min(size, bytesPerLook))
    readSync(this.#file, kept, 0, kept.length, size - kept.length)
    writeFileSync(`${this.#path}.1`, kept, { mode: 0o600 })
    ftruncateSync(this.#file, 0)
    this.#startOver()
  }

  #startOver(): void {
    this.#at = 0
    this.#pending = Buffer.alloc(0)
    this.#cut = true
    this.#events.onRestart()
  }
}
