import type { EnginePhase } from '../core/phases.ts'
import type { SimFailure } from './engine-failures.ts'

/** What goes wrong, and when. Nothing does by default. */
export interface SimFaults {
  /** Leave with this code before a single line is printed. */
  exitCode?: number
  /** Print the real engine's text for this failure and leave with its exit code. */
  startFailure?: SimFailure
  /** Stay in this phase for ever: the port is refused, the process lives. */
  hangInPhase?: EnginePhase
  /** `unavailable` answers 503; `hang` accepts the connection and never answers. */
  health?: 'unavailable' | 'hang'
  /** Health and model list stay good, but no token ever comes. */
  tokens?: 'never'
  /** Reset the connection after this many data chunks of a stream; a plain answer is reset half way. */
  cutAfterChunks?: number
  /** After this many data chunks: an error chunk, then `[DONE]`, then a clean end, as a dying vLLM does. */
  errorAfterChunks?: number
  /** Every byte of an answer's body waits this long for its turn. */
  slowMsPerByte?: number
  /** The engine core dies once it has completed this many generations; the process then leaves with code 0. */
  dieAfterRequests?: number
  /**
   * SIGTERM does not end it: while it starts it does not listen to it, and later it waits for its clients to leave, whom it
   * never answers. The real engine was seen to do both; only SIGKILL helps.
   */
  stop?: 'hang'
}

export interface SimOptions {
  /** What `root` in the model list says: a path or a hub name. */
  model?: string
  /** The names it answers to; the first is the canonical one. Default: the model. */
  servedModelNames?: string[]
  host?: string
  /** 0 takes a free port. */
  port?: number
  maxModelLen?: number
  /** The context that the model itself allows; a longer `maxModelLen` fails the start as the real engine does. */
  modelContext?: number
  /** Generations at the same time; the rest waits in order of arrival. */
  maxNumSeqs?: number
  task?: 'generate' | 'embed' | 'any'
  /** Milliseconds before the first token. */
  ttftMs?: number
  /** Pace of one generation; 0 means as fast as the machine can. */
  tokensPerS?: number
  /** Length of an unbounded answer: shorter than `max_tokens` ends with `stop`. Default: no natural end. */
  replyTokens?: number
  seed?: number
  /** Length of the whole start-up, shared out among the phases. */
  startupMs?: number
  /** Exact length of single phases. 0 leaves a phase out. */
  phasesMs?: Partial<Record<EnginePhase, number>>
  faults?: SimFaults
  /** Where log text goes, in raw pieces (progress bars begin with a carriage return). Default: nowhere. */
  log?: (text: string) => void
  /** Print one line for each request, as uvicorn does. */
  accessLog?: boolean
}

export type SimSettings = Required<SimOptions>

/** Fills in what was not said: fast, healthy, and silent. */
export function withDefaults(options: SimOptions): SimSettings {
  const model = options.model ?? 'sim'
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return {
    model,
    servedModelNames: [model],
    host: '127.0.0.1',
    port: 0,
    maxModelLen: 4096,
    modelContext: 131072,
    maxNumSeqs: 256,
    task: 'generate',
    ttftMs: 5,
    tokensPerS: 1000,
    replyTokens: Number.MAX_SAFE_INTEGER,
    seed: 0,
    startupMs: 0,
    phasesMs: {},
    faults: {},
    log: () => undefined,
    accessLog: false,
    ...given,
  }
}

/** Flags of the real engine that change nothing here; the number says how many values follow at least. */
const ignoredFlags = new Map<string, 0 | 1>([
  ...[
    'async-scheduling',
    'disable-log-requests',
    'disable-fastapi-docs',
    'enable-auto-tool-choice',
    'enable-chunked-prefill',
    'enable-force-include-usage',
    'enable-lora',
    'enable-prefix-caching',
    'enable-prompt-tokens-details',
    'enable-request-id-headers',
    'enable-server-load-tracking',
    'enforce-eager',
    'no-enable-prefix-caching',
    'trust-remote-code',
  ].map((name) => [name, 0] as const),
  ...[
    'chat-template',
    'data-parallel-size',
    'disable-access-log-for-endpoints',
    'download-dir',
    'dtype',
    'generation-config',
    'gpu-memory-utilization',
    'kv-cache-dtype',
    'kv-cache-memory-bytes',
    'load-format',
    'max-lora-rank',
    'max-num-batched-tokens',
    'model-loader-extra-config',
    'pipeline-parallel-size',
    'quantization',
    'reasoning-parser',
    'revision',
    'safetensors-load-strategy',
    'shutdown-timeout',
    'tensor-parallel-size',
    'tokenizer',
    'tool-call-parser',
  ].map((name) => [name, 1] as const),
])

const ownFlags = new Set([
  'model',
  'served-model-name',
  'host',
  'port',
  'max-model-len',
  'max-num-seqs',
  'task',
  'seed',
  'sim',
])

export interface ParsedArguments {
  options: SimOptions
  /** Arguments that neither this nor the real engine knows; the real one leaves with exit code 2. */
  unknown: string[]
}

/** Reads vLLM's command line. `sim` options come from `--sim JSON`, over those of the environment. */
export function parseArguments(argv: readonly string[], env: { FLIGHTDECK_SIM?: string }): ParsedArguments {
  const values = new Map<string, string[]>()
  const unknown: string[] = []
  const rest = argv[0] === 'serve' ? argv.slice(1) : argv
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? ''
    if (!word.startsWith('-')) {
      if (values.has('model')) unknown.push(word)
      else values.set('model', [word])
      continue
    }
    const [name = '', inline] = splitFlag(word)
    if (!ownFlags.has(name) && !ignoredFlags.has(name)) unknown.push(word)
    if (ignoredFlags.get(name) === 0) continue
    const found = inline === undefined ? [] : [inline]
    const many = name === 'served-model-name'
    while (inline === undefined && (many || found.length === 0) && !(rest[i + 1] ?? '--').startsWith('--')) {
      i += 1
      found.push(rest[i] ?? '')
    }
    values.set(name, found)
  }
  return { options: toOptions(values, env), unknown }
}

function splitFlag(word: string): [string, string | undefined] {
  const bare = word.replace(/^--?/, '').replaceAll('_', '-')
  const at = bare.indexOf('=')
  return at < 0 ? [bare, undefined] : [bare.slice(0, at), word.slice(word.indexOf('=') + 1)]
}

function toOptions(values: Map<string, string[]>, env: { FLIGHTDECK_SIM?: string }): SimOptions {
  const sim = {
    ...(JSON.parse(env.FLIGHTDECK_SIM || '{}') as SimOptions),
    ...(JSON.parse(values.get('sim')?.[0] ?? '{}') as SimOptions),
  }
  const count = (name: string) => {
    const text = values.get(name)?.[0]
    return text === undefined ? {} : Number(text)
  }
  const numbers = {
    port: count('port'),
    maxModelLen: count('max-model-len'),
    maxNumSeqs: count('max-num-seqs'),
    seed: count('seed'),
  }
  const said = Object.fromEntries(Object.entries(numbers).filter(([, value]) => typeof value === 'number'))
  const model = values.get('model')?.[0]
  const names = values.get('served-model-name')
  const host = values.get('host')?.[0]
  const task = values.get('task')?.[0]
  return {
    // A process takes a moment to start, as a real engine does; an engine inside a test does not.
    startupMs: 1500,
    port: 8000,
    ...sim,
    ...said,
    ...(model === undefined ? {} : { model }),
    ...(names === undefined ? {} : { servedModelNames: names }),
    ...(host === undefined ? {} : { host }),
    ...(task === 'embed' || task === 'any' || task === 'generate' ? { task } : {}),
  }
}
