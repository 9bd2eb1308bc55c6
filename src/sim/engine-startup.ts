import { setTimeout as delay } from 'node:timers/promises'
import { type EnginePhase, enginePhases } from '../core/phases.ts'
import { type FailureScript, failureLines, failureScripts, type SimFailure } from './engine-failures.ts'
import type { SimSettings } from './engine-options.ts'

/** The engine left by itself while it was starting. */
export class SimExit extends Error {
  readonly code: number

  constructor(code: number) {
    super(`the simulated engine left with code ${code}`)
    this.code = code
  }
}

type Speaker = 'APIServer' | 'EngineCore' | 'Worker'

/** One piece of output and how long the engine is silent after it. */
interface Step {
  text: string
  waitMs: number
}

/** Shares of the whole start; measured on an 8B model they lie near this, but any value would do. */
const shares: Record<EnginePhase, number> = {
  engine_start: 0.2,
  engine_init: 0.1,
  weights_download: 0,
  weights_load: 0.3,
  compile: 0.2,
  kv_cache: 0.05,
  graphs: 0.1,
  warmup: 0.03,
  server_start: 0.02,
}

const shards = 8

/** One log line as vLLM 0.32 prints it. */
export function logLine(who: Speaker, level: string, source: string, text: string): string {
  const pid = process.pid + { APIServer: 0, EngineCore: 1, Worker: 2 }[who]
  const now = new Date()
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${two(now.getMonth() + 1)}-${two(now.getDate())}`
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`
  return `(${who} pid=${pid}) ${level} ${day} ${time} [${source}] ${text}\n`
}

function bar(label: string, waitMs: number): Step[] {
  return Array.from({ length: shards + 1 }, (_, done) => {
    const percent = String(Math.floor((100 * done) / shards)).padStart(3)
    const text = `\r${label}: ${percent}% Completed | ${done}/${shards} [00:00<00:00, 12.5it/s]\n`
    return { text: done === shards ? `${text}\n` : text, waitMs: waitMs / (shards + 1) }
  })
}

function captureBar(waitMs: number): Step[] {
  return Array.from({ length: shards + 1 }, (_, done) => {
    const percent = String(Math.floor((100 * done) / shards)).padStart(3)
    const text = `\rCapturing CUDA graphs (decode, FULL): ${percent}%|#####     | ${done}/${shards} [00:00<00:00, 30.1it/s]`
    return { text: done === shards ? `${text}\n` : text, waitMs: waitMs / (shards + 1) }
  })
}

type PhaseScript = (settings: SimSettings, ms: number) => Step[]

const said = (text: string, waitMs = 0): Step => ({ text, waitMs })

const startsToLoad = (model: string) =>
  said(logLine('Worker', 'INFO', 'gpu_model_runner.py:5007', `Starting to load model ${model}...`))

const phaseScripts: Record<EnginePhase, PhaseScript> = {
  engine_start: ({ model, maxModelLen }, ms) => [
    said(logLine('APIServer', 'INFO', 'api_utils.py:347', ' version 0.32.0'), ms / 2),
    said(logLine('APIServer', 'INFO', 'api_utils.py:347', `  model   ${model}`)),
    said(logLine('APIServer', 'INFO', 'api_utils.py:286', `non-default args: {'model_tag': '${model}'}`)),
    said(logLine('APIServer', 'INFO', 'model.py:733', 'Resolved architecture: LlamaForCausalLM')),
    said(logLine('APIServer', 'INFO', 'model.py:2152', `Using max model len ${maxModelLen}`), ms / 2),
  ],
  engine_init: ({ model }, ms) => [
    said(
      logLine(
        'EngineCore',
        'INFO',
        'core.py:133',
        `Initializing a V1 LLM engine (v0.32.0) with config: model='${model}'`,
      ),
      ms,
    ),
  ],
  weights_download: ({ model }, ms) => [
    startsToLoad(model),
    said('\rFetching 4 files:   0%|          | 0/4 [00:00<?, ?it/s]', ms / 2),
    said('\rFetching 4 files:  50%|#####     | 2/4 [00:01<00:01,  1.9it/s]', ms / 2),
    said('\rFetching 4 files: 100%|##########| 4/4 [00:02<00:00,  1.9it/s]\n'),
    said(
      logLine(
        'Worker',
        'INFO',
        'weight_utils.py:604',
        `Time spent downloading weights for ${model}: ${(ms / 1000).toFixed(6)} seconds`,
      ),
    ),
  ],
  weights_load: ({ model, phasesMs }, ms) => [
    // Without a download the weights lie on the disk, so what is loaded is a path.
    ...(phasesMs.weights_download ? [] : [startsToLoad(model.startsWith('/') ? model : `/models/${model}`)]),
    ...bar('Loading safetensors checkpoint shards', ms),
    said(logLine('Worker', 'INFO', 'default_loader.py:501', `Loading weights took ${(ms / 1000).toFixed(2)} seconds`)),
    said(
      logLine(
        'Worker',
        'INFO',
        'gpu_model_runner.py:5101',
        `Model loading took 15.0 GiB memory and ${(ms / 1000).toFixed(6)} seconds`,
      ),
    ),
  ],
  compile: (_, ms) => [
    said(logLine('Worker', 'INFO', 'backends.py:1001', 'Dynamo bytecode transform time: 0.10 s'), ms),
    said(logLine('Worker', 'INFO', 'monitor.py:53', `torch.compile took ${(ms / 1000).toFixed(2)} s in total`)),
  ],
  kv_cache: ({ maxModelLen, maxNumSeqs }, ms) => {
    const tokens = (maxModelLen * maxNumSeqs).toLocaleString('en-US')
    const text = `GPU KV cache size: ${tokens} tokens, Maximum concurrency for ${maxModelLen.toLocaleString('en-US')} tokens per request: ${maxNumSeqs.toFixed(2)}x`
    return [
      said(logLine('Worker', 'INFO', 'gpu_worker.py:413', 'Available KV cache memory: 52.10 GiB'), ms),
      said(logLine('EngineCore', 'INFO', 'kv_cache_utils.py:2327', text)),
    ]
  },
  graphs: (_, ms) => [
    ...captureBar(ms),
    said(
      logLine(
        'Worker',
        'INFO',
        'gpu_model_runner.py:6120',
        `Graph capturing finished in ${Math.round(ms / 1000)} secs, took 0.42 GiB`,
      ),
    ),
  ],
  warmup: (_, ms) => [
    said(
      logLine(
        'EngineCore',
        'INFO',
        'core.py:402',
        `init engine (profile, create kv cache, warmup model) took ${(ms / 1000).toFixed(2)} s (compilation: 0.00 s)`,
      ),
      ms,
    ),
  ],
  server_start: ({ host, port }, ms) => [
    said(logLine('APIServer', 'INFO', 'entry.py:136', "Supported tasks: ['generate']")),
    said(logLine('APIServer', 'INFO', 'entry.py:140', `Starting vLLM server on http://${host}:${port}`)),
    said(logLine('APIServer', 'INFO', 'launcher.py:186', 'Available routes are:'), ms),
  ],
}

/** A phase in which each failure happens, so that the log looks the way a real one does. */
function phaseOfFailure(name: SimFailure): EnginePhase {
  if (name === 'weights_oom' || name === 'weights_broken') return 'weights_load'
  if (name === 'disk_full') return 'weights_download'
  if (name === 'kv_none' || name === 'kv_short') return 'kv_cache'
  return (failureScripts[name] as FailureScript).where === 'core' ? 'engine_init' : 'engine_start'
}

/** Prints one failure as the real engine does and says with which code it leaves. */
export function printFailure(name: SimFailure, settings: SimSettings, unknown?: readonly string[]): SimExit {
  const known: FailureScript = failureScripts[name]
  const script = unknown ? { ...known, error: `vllm: error: unrecognized arguments: ${unknown.join(' ')}` } : known
  const core = (level: string, text: string) => logLine('EngineCore', level, 'core.py:1380', text).trimEnd()
  for (const line of failureLines(script, core)) settings.log(`${line}\n`)
  return new SimExit(script.exitCode)
}

export function printContextTooLong(settings: SimSettings): SimExit {
  const { maxModelLen, modelContext } = settings
  settings.log(
    `Traceback (most recent call last):\npydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value error, User-specified max_model_len (${maxModelLen}) is greater than the derived max_model_len (max_position_embeddings=${modelContext}.0 or model_max_length=None in model's config.json).\n`,
  )
  return new SimExit(1)
}

/** Plays the start-up; returns when the engine may listen, throws `SimExit` when it dies before that. */
export async function playStartup(settings: SimSettings, signal: AbortSignal): Promise<void> {
  const { faults, log } = settings
  if (faults.exitCode !== undefined) throw new SimExit(faults.exitCode)
  if (faults.startFailure === 'unknown_argument') throw printFailure('unknown_argument', settings)
  const failsIn = faults.startFailure && phaseOfFailure(faults.startFailure)
  for (const phase of enginePhases) {
    const asked = settings.phasesMs[phase]
    const ms = asked ?? settings.startupMs * shares[phase]
    const skipped = asked === 0 || (asked === undefined && phase === 'weights_download')
    const stops = phase === failsIn || phase === faults.hangInPhase
    if (skipped && !stops) continue
    const steps = phaseScripts[phase](settings, ms)
    for (const step of stops ? steps.slice(0, 2) : steps) {
      log(step.text)
      // The timer would reject with an error of its own; who stopped the start wants to see the reason that he gave.
      if (step.waitMs > 0) await delay(step.waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
      else signal.throwIfAborted()
    }
    if (phase === 'engine_start' && settings.maxModelLen > settings.modelContext) throw printContextTooLong(settings)
    if (phase === failsIn && faults.startFailure) throw printFailure(faults.startFailure, settings)
    if (phase === faults.hangInPhase) await new Promise((_, reject) => onAbort(signal, reject))
  }
}

/** Keeps the process alive while it hangs: a promise alone would let Node leave. */
function onAbort(signal: AbortSignal, reject: (reason: unknown) => void) {
  const alive = setInterval(() => undefined, 60_000)
  const stop = () => {
    clearInterval(alive)
    reject(signal.reason)
  }
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
}

const stopTable: [Speaker, string, string, string][] = [
  ['EngineCore', 'INFO', 'core.py:1454', 'EngineCore: trigger received signal=SIGTERM'],
  ['APIServer', 'INFO', 'launcher.py:254', 'API server: shutdown triggered'],
  ['APIServer', 'INFO', 'launcher.py:270', 'API server: stopping engine client mode=abort timeout=0s'],
  ['APIServer', 'INFO', 'core_client.py:770', 'MPClient: start timeout=0s'],
  ['APIServer', 'INFO', 'core_client.py:772', 'MPClient: stopping engine manager'],
  ['APIServer', 'INFO', 'core_client.py:777', 'MPClient: complete'],
  ['APIServer', 'INFO', 'launcher.py:279', 'API server: engine client stopped'],
  ['APIServer', 'INFO', 'launcher.py:304', 'API server: shutting down FastAPI HTTP server'],
]

const deadText = 'EngineCore encountered an issue. See stack trace (above) for the root cause.'

/** What the real engine prints on SIGTERM, its misleading `EngineDeadError` included. */
export function printShutdown(settings: SimSettings) {
  const { log } = settings
  for (const [who, level, source, text] of stopTable) {
    log(logLine(who, level, source, `[shutdown] ${text}`))
    if (!text.startsWith('MPClient: complete')) continue
    log(logLine('APIServer', 'ERROR', 'async_llm.py:906', `vllm.v1.engine.exceptions.EngineDeadError: ${deadText}`))
  }
  for (const text of ['Shutting down', 'Waiting for application shutdown.', 'Application shutdown complete.']) {
    log(`INFO:     ${text}\n`)
  }
}

/** What it prints when its core died without being asked to. */
export function printDeath(settings: SimSettings) {
  const { log } = settings
  const unexpected = '[shutdown] MPClient: engine core exited unexpectedly; starting cleanup'
  log(logLine('APIServer', 'WARNING', 'core_client.py:817', unexpected))
  log(logLine('APIServer', 'ERROR', 'async_llm.py:906', `vllm.v1.engine.exceptions.EngineDeadError: ${deadText}`))
  log('INFO:     Shutting down\nINFO:     Application shutdown complete.\n')
}
