import { stripVTControlCharacters } from 'node:util'
import { type EnginePhase, enginePhases } from '../core/phases.ts'
import {
  type EngineFailure,
  explainFailure,
  type FailureContext,
  type FailureMatch,
  isFallback,
  lowestRank,
  matchFailure,
} from './log-failures.ts'

/** A phase was entered, or moved on within itself; phases never go back. `percent` is null where the log gives none. */
export interface LogFinding {
  phase: EnginePhase
  percent: number | null
}

export interface LogResult {
  phase: EnginePhase
  percent: number | null
  /** The log says that the server has started; only a probe knows whether it answers. */
  serving: boolean
  version: string | null
  /** The best explanation so far. While the process lives it is a suspicion: engines recover from much that they log. */
  failure: EngineFailure | null
  /** The engine logged that a signal told it to stop. */
  toldToStop: boolean
  /** The first error that a stack trace ended with, or else the last line: what to show when no row matched. */
  hint: string
}

/** Reads the output of one process of an engine, in pieces of any size. A restarted engine gets a new reader. */
export interface LogReader {
  push(chunk: string): LogFinding[]
  /** After `stopAsked` nothing that the log says is a failure: vLLM prints EngineDeadError when it is stopped. */
  result(asked?: { stopAsked: boolean }): LogResult
}

interface PhaseRow {
  pattern: RegExp
  phase: EnginePhase
  /** True when the line ends the phase; a number captured by the pattern is the percentage otherwise. */
  done?: true
}

// A hub name means that files may have to be fetched first; a path or an address is read where it lies.
const phaseTable: readonly PhaseRow[] = [
  // vLLM 0.32, from its source and from recorded starts; the bars are the same in SGLang.
  { pattern: /^Initializing a V\d LLM engine/, phase: 'engine_init' },
  { pattern: /^Starting to load model (?:[/.~]|\w+:\/\/)/, phase: 'weights_load' },
  { pattern: /^Starting to load model /, phase: 'weights_download' },
  { pattern: /^(?:Fetching \d+ files|Downloading shards): +(\d+)%\|/, phase: 'weights_download' },
  { pattern: /\.(?:safetensors|bin|gguf): +\d+%\|/, phase: 'weights_download' },
  { pattern: /^Time spent downloading weights/, phase: 'weights_download', done: true },
  { pattern: /^(?:Loading [\w -]+|Multi-thread loading shards): +(\d+)% Completed/, phase: 'weights_load' },
  { pattern: /^(?:Loading weights took|Model loading took)/, phase: 'weights_load', done: true },
  {
    pattern: /^Warming up model for the compilation|Using cache directory: .* for vLLM's torch\.compile/,
    phase: 'compile',
  },
  { pattern: /^Dynamo bytecode transform time|^Compiling a graph|^Directly load the compiled graph/, phase: 'compile' },
  { pattern: /^torch\.compile took|saved AOT compiled function/, phase: 'compile', done: true },
  { pattern: /^Available KV cache memory|^Explicitly set .* for KV cache|^[GC]PU KV cache size/, phase: 'kv_cache' },
  { pattern: /^Capturing CUDA graphs?\b.*?(\d+)%\|/, phase: 'graphs' },
  { pattern: /^Graph capturing finished/, phase: 'graphs', done: true },
  { pattern: /^init engine \(profile, create kv cache, warmup model\)/, phase: 'warmup' },
  { pattern: /^Supported tasks: |^Starting vLLM (?:API )?server|^Started server process/, phase: 'server_start' },
  // SGLang.
  { pattern: /^Init torch distributed begin/, phase: 'engine_init' },
  { pattern: /^Load weight begin/, phase: 'weights_load' },
  { pattern: /^Load weight end/, phase: 'weights_load', done: true },
  { pattern: /^KV Cache is allocated|^Memory pool end/, phase: 'kv_cache' },
  { pattern: /^Capture cuda graph begin/, phase: 'graphs' },
  { pattern: /^Capturing batches\b.*?(\d+)%\|/, phase: 'graphs' },
  { pattern: /^Capture cuda graph end/, phase: 'graphs', done: true },
  // llama-server.
  { pattern: /\bload_model: loading model\b/, phase: 'weights_load' },
  { pattern: /\bwarming up the model with an empty run/, phase: 'warmup' },
]

/** llama-server listens before it has loaded, and says that with a comma; only "listening on" means ready. */
const servingLine = /^Application startup complete|The server is fired up and ready|\bserver is listening on\b/
const versionLine = /(?:^| )version (\d+\.\d+\.\d+\S*)|^Initializing a V\d LLM engine \(v([^)]+)\)/
const stopLine = /trigger received signal=SIG|API server: shutdown triggered/
const diskWarning = /expected file size is: ([\d.]+) MB\. The target location .* only has ([\d.]+) MB/
const errorLine = /^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)(?::|$)/
/** Errors that only repeat that something failed elsewhere. */
const hollowError = /Engine core initialization failed|WorkerProc initialization failed|EngineDeadError/

const speakerPrefix = /^\([\w.-]+(?: pid=\d+)?\) /
const vllmPrefix = /^(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?/
const sglangPrefix = /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^\]]*\] /
const uvicornPrefix = /^(DEBUG|INFO|WARNING|ERROR|CRITICAL): +/

/** Longer lines are cut: an engine that prints a whole model into one line must not fill our memory. */
const lineCharsMax = 8192
const evidenceCharsMax = 1000

interface Line {
  level: string
  text: string
}

/** Takes off colours and the prefix that says who speaks, at which level and from which line of code. */
export function cleanLine(raw: string): Line {
  let text = stripVTControlCharacters(raw).replace(speakerPrefix, '')
  const level = vllmPrefix.exec(text)?.[1] ?? uvicornPrefix.exec(text)?.[1] ?? ''
  text = text.replace(level ? vllmPrefix : sglangPrefix, '').replace(uvicornPrefix, '')
  return { level, text: text.trimEnd() }
}

export function createLogReader(): LogReader {
  const reader = new Reader()
  return { push: (chunk) => reader.push(chunk), result: (asked) => reader.result(asked) }
}

class Reader {
  #pending = ''
  #phase: EnginePhase = 'engine_start'
  #percent: number | null = null
  #announced = false
  #serving = false
  #toldToStop = false
  #version: string | null = null
  #match: FailureMatch | null = null
  #evidence = ''
  #context: FailureContext = { disk: null }
  #firstError = ''
  #lastLine = ''

  push(chunk: string): LogFinding[] {
    const findings: LogFinding[] = []
    if (!this.#announced) {
      this.#announced = true
      findings.push({ phase: this.#phase, percent: null })
    }
    const pieces = (this.#pending + chunk).split(/[\r\n]/)
    this.#pending = (pieces.pop() ?? '').slice(0, lineCharsMax)
    for (const piece of pieces) this.#readLine(piece.slice(0, lineCharsMax), findings)
    // A bar is rewritten without a line end for minutes; it is read as far as it stands there.
    if (this.#pending.includes('%')) this.#readPhase(cleanLine(this.#pending).text, findings)
    return findings
  }

  result(asked?: { stopAsked: boolean }): LogResult {
    const last = cleanLine(this.#pending)
    const tail = last.text.trim() ? last : null
    const late = tail && this.#candidate(tail)
    const match = late ?? this.#match
    const evidence = late && tail ? clip(tail.text) : this.#evidence
    const explained = match && !asked?.stopAsked
    return {
      phase: this.#phase,
      percent: this.#percent,
      serving: this.#serving,
      version: this.#version,
      failure: explained ? explainFailure(match, this.#context, this.#better(match, evidence)) : null,
      toldToStop: this.#toldToStop,
      hint: this.#firstError || clip(tail?.text ?? this.#lastLine),
    }
  }

  #readLine(raw: string, findings: LogFinding[]) {
    const line = cleanLine(raw)
    if (!line.text.trim()) return
    this.#lastLine = line.text
    this.#readPhase(line.text, findings)
    this.#readFacts(line)
    const match = this.#candidate(line)
    if (!match) return
    this.#match = match
    this.#evidence = clip(line.text)
  }

  #readFacts({ level, text }: Line) {
    const version = versionLine.exec(text)
    if (version) this.#version ??= version[1] ?? version[2] ?? null
    const disk = diskWarning.exec(text)
    if (disk) this.#context = { disk: { needsMb: disk[1] ?? '?', hasMb: disk[2] ?? '?' } }
    if (stopLine.test(text)) this.#toldToStop = true
    const isError = level === '' || level === 'ERROR'
    if (isError && !this.#firstError && errorLine.test(text) && !hollowError.test(text)) this.#firstError = clip(text)
  }

  /** A row for this line that is better than what was found before. Configuration printed at INFO is not an error. */
  #candidate({ level, text }: Line): FailureMatch | null {
    if (level === 'INFO' || level === 'DEBUG') return null
    const match = matchFailure(text, this.#match?.rank ?? lowestRank)
    if (!match) return null
    // A stop makes the core end before its server does; the server then calls that a death.
    return this.#toldToStop && isFallback(match) ? null : match
  }

  #readPhase(text: string, findings: LogFinding[]) {
    if (servingLine.test(text)) return this.#startedServing(findings)
    for (const { pattern, phase, done } of phaseTable) {
      const found = pattern.exec(text)
      if (!found) continue
      const percent = done ? 100 : found[1] === undefined ? null : Number(found[1])
      this.#enter(phase, percent, findings)
      return
    }
  }

  #startedServing(findings: LogFinding[]) {
    this.#enter('server_start', 100, findings)
    if (this.#serving) return
    this.#serving = true
    // Whatever was logged on the way did not keep it from starting.
    this.#match = null
    this.#firstError = ''
  }

  #enter(phase: EnginePhase, percent: number | null, findings: LogFinding[]) {
    const ahead = enginePhases.indexOf(phase) - enginePhases.indexOf(this.#phase)
    const further = percent !== null && percent > (this.#percent ?? -1)
    if (ahead < 0 || (ahead === 0 && !further)) return
    this.#phase = phase
    this.#percent = percent
    findings.push({ phase, percent })
  }

  /** Of a core that is simply gone, the first error of a stack trace tells more than the line that says so. */
  #better(match: FailureMatch, evidence: string): string {
    return isFallback(match) && this.#firstError ? this.#firstError : evidence
  }
}

function clip(text: string): string {
  const line = text.trim()
  return line.length > evidenceCharsMax ? `${line.slice(0, evidenceCharsMax - 1)}…` : line
}

export interface EngineExit {
  code: number | null
  signal: string | null
  /** We told it to stop: then however it ended is no failure. */
  stopAsked: boolean
  reader: LogReader
}

/** Why the process ended: what its log says, or else what its exit says. Null when it ended because we asked. */
export function classifyExit({ code, signal, stopAsked, reader }: EngineExit): EngineFailure | null {
  if (stopAsked) return null
  const { failure, toldToStop, hint, serving } = reader.result()
  if (failure) return failure
  const when = serving ? 'while it was serving' : 'before it served'
  const remedy = 'Read the engine log; the last lines before the end say most.'
  if (signal === 'SIGKILL' || code === 137) {
    return {
      class: 'host_memory',
      fault: 'node',
      retry: 'elsewhere',
      cause: `The engine was killed ${when} (SIGKILL), and not by us: most often the machine has run out of memory.`,
      remedy: 'Take a machine with more memory, or let the engine load and keep less in it.',
      evidence: hint,
    }
  }
  const how = toldToStop
    ? 'after a signal that did not come from us'
    : signal
      ? `by the signal ${signal}`
      : `with exit code ${code ?? 'unknown'}`
  return {
    class: 'engine_exited',
    fault: 'node',
    retry: 'same',
    cause: `The engine ended ${when}, ${how}, and gave no reason that is known here.`,
    remedy,
    evidence: hint,
  }
}
