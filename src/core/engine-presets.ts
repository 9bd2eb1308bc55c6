import { Failure } from './failure.ts'

/** What kind of value an engine argument takes. `pattern` guards free text; a leading dash is always refused. */
export type ArgumentKind =
  | { readonly kind: 'flag' }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'text'; readonly pattern: RegExp }

/** Stands for the port until the agent has chosen one. */
export const portWord = '{port}'

export interface EnginePreset {
  readonly name: string
  /** The command where the operator names none. The first word is looked up in PATH; there is no shell. */
  readonly command: readonly string[]
  /** How model, served name, port and loopback are told to it. */
  readonly argv: (run: { model: string; servedName: string; port: number | typeof portWord }) => string[]
  readonly healthPath: string
  /** The one that bounds the tokens of a request. */
  readonly contextArgument: string
  readonly arguments: Readonly<Record<string, ArgumentKind>>
}

/** Whether an engine answers a completion as one that has none, because its model embeds: vLLM, llama-server, others. */
export const completesNothing = (status: number): boolean => [404, 501, 400].includes(status)

export type EngineArguments = Readonly<Record<string, string | number | boolean>>

const count = (max: number): ArgumentKind => ({ kind: 'integer', min: 1, max })
const name: ArgumentKind = { kind: 'text', pattern: /^[A-Za-z0-9][\w.:/+-]{0,127}$/ }
const flag: ArgumentKind = { kind: 'flag' }

// Arguments that run code (--middleware, --trust-remote-code) or open the machine (--host, --api-key) are not here.
const vllmArguments: EnginePreset['arguments'] = {
  'max-model-len': count(10_000_000),
  'max-num-seqs': count(4096),
  'max-num-batched-tokens': count(1_048_576),
  'tensor-parallel-size': count(64),
  'pipeline-parallel-size': count(64),
  'gpu-memory-utilization': { kind: 'number', min: 0.05, max: 1 },
  'kv-cache-memory-bytes': count(Number.MAX_SAFE_INTEGER),
  'kv-cache-dtype': { kind: 'choice', of: ['auto', 'fp8', 'fp8_e4m3', 'fp8_e5m2'] },
  dtype: { kind: 'choice', of: ['auto', 'half', 'float16', 'bfloat16', 'float', 'float32'] },
  quantization: { kind: 'choice', of: ['awq', 'gptq', 'fp8', 'bitsandbytes', 'compressed-tensors', 'gguf', 'mxfp4'] },
  'load-format': { kind: 'choice', of: ['auto', 'safetensors', 'runai_streamer', 'dummy', 'gguf', 'bitsandbytes'] },
  'enforce-eager': flag,
  'enable-prefix-caching': flag,
  'enable-chunked-prefill': flag,
  'enable-auto-tool-choice': flag,
  'tool-call-parser': name,
  'reasoning-parser': name,
  revision: name,
  seed: { kind: 'integer', min: 0, max: 2 ** 31 },
  'swap-space': { kind: 'number', min: 0, max: 4096 },
  'shutdown-timeout': { kind: 'integer', min: 0, max: 3600 },
}

const likeVllm: EnginePreset['argv'] = ({ model, servedName, port }) => [
  model,
  '--served-model-name',
  servedName,
  '--host',
  '127.0.0.1',
  '--port',
  String(port),
]

export const enginePresets = {
  sim: {
    name: 'sim',
    command: [],
    argv: ({ model, servedName, port }) => ['--model', model, ...likeVllm({ model, servedName, port }).slice(1)],
    healthPath: '/health',
    contextArgument: 'max-model-len',
    arguments: {
      'max-model-len': count(10_000_000),
      'max-num-seqs': count(4096),
      seed: { kind: 'integer', min: 0, max: 2 ** 31 },
    },
  },
  vllm: {
    name: 'vllm',
    command: ['vllm', 'serve'],
    argv: likeVllm,
    healthPath: '/health',
    contextArgument: 'max-model-len',
    arguments: vllmArguments,
  },
  sglang: {
    name: 'sglang',
    command: ['python3', '-m', 'sglang.launch_server'],
    argv: (run) => ['--model-path', ...likeVllm(run)],
    healthPath: '/health',
    contextArgument: 'context-length',
    arguments: {
      'context-length': count(10_000_000),
      'tp-size': count(64),
      'mem-fraction-static': { kind: 'number', min: 0.05, max: 1 },
      'max-running-requests': count(4096),
      dtype: { kind: 'choice', of: ['auto', 'half', 'float16', 'bfloat16', 'float', 'float32'] },
      quantization: { kind: 'choice', of: ['awq', 'fp8', 'gptq', 'bitsandbytes', 'w8a8_int8', 'w8a8_fp8'] },
      'tool-call-parser': name,
      'reasoning-parser': name,
    },
  },
  'llama-server': {
    name: 'llama-server',
    command: ['llama-server'],
    argv: ({ model, servedName, port }) => [
      '--model',
      model,
      '--alias',
      servedName,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
    ],
    healthPath: '/health',
    contextArgument: 'ctx-size',
    arguments: {
      'ctx-size': count(10_000_000),
      'n-gpu-layers': { kind: 'integer', min: 0, max: 1000 },
      parallel: count(1024),
      'batch-size': count(65_536),
      threads: count(1024),
      'flash-attn': { kind: 'choice', of: ['on', 'off', 'auto'] },
      embeddings: flag,
      jinja: flag,
    },
  },
} as const satisfies Record<string, EnginePreset>

export type EngineName = keyof typeof enginePresets
export const engineNames = Object.keys(enginePresets) as EngineName[]

/** `max-model-len=1024` as the name and a value of the kind that it looks like; a bare name is a flag. Null: it names none. */
export function readArgument(word: string): readonly [name: string, value: string | number | boolean] | null {
  const at = word.indexOf('=')
  const name = (at < 0 ? word : word.slice(0, at)).replace(/^--/, '')
  const text = at < 0 ? 'true' : word.slice(at + 1)
  if (name === '') return null
  if (text === 'true' || text === 'false') return [name, text === 'true']
  return [name, text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text]
}

/** As `readArgument` reads them. */
export const writtenArguments = (given: EngineArguments): string[] =>
  Object.entries(given).map(([name, value]) => `${name}=${value}`)

/**
 * The arguments as argv words, checked against the preset's list.
 * @throws Failure `forbidden_argument` or `malformed_argument`, naming the first that is wrong and what it may be; all that
 * are wrong are in its details.
 */
export function engineArgv(engine: EngineName, given: EngineArguments): string[] {
  const allowed: EnginePreset['arguments'] = enginePresets[engine].arguments
  const known = Object.entries(given).map(([argument, value]) => {
    const kind = Object.hasOwn(allowed, argument) ? (allowed[argument] ?? null) : null
    return { argument, value, kind, must: kind ? whatIsWrong(kind, value) : null }
  })
  const wrong = known.filter(({ kind, must }) => kind === null || must !== null)
  const [first] = wrong
  if (first) {
    const { argument, value, must } = first
    const details = { fields: wrong.map(fieldOf) }
    if (must !== null) {
      const cause = `The argument "${argument}" must be ${must}, not ${JSON.stringify(value)}.`
      throw new Failure('malformed_argument', cause, {}, details)
    }
    const remedy = `Leave it out; allowed are: ${Object.keys(allowed).join(', ')}.`
    const cause = `The argument "${argument}" is not allowed for ${engine}.`
    throw new Failure('forbidden_argument', cause, { remedy }, details)
  }
  return known.flatMap(({ argument, value, kind }) => argumentWords(argument, kind, value))
}

/** As a request that breaks its schema is told: which field of it, and what that must be. */
const fieldOf = ({ argument, must }: { argument: string; must: string | null }) => ({
  field: `body.engineArgs.${argument}`,
  must: must === null ? 'left out: the engine does not take it here' : `must be ${must}`,
})

function argumentWords(argument: string, kind: ArgumentKind | null, value: string | number | boolean): string[] {
  if (kind?.kind === 'flag') return value ? [`--${argument}`] : []
  return [`--${argument}`, String(value)]
}

function whatIsWrong(kind: ArgumentKind, value: string | number | boolean): string | null {
  switch (kind.kind) {
    case 'flag':
      return typeof value === 'boolean' ? null : 'true or false'
    case 'integer':
    case 'number': {
      const whole = kind.kind === 'number' || Number.isInteger(value)
      const fits = typeof value === 'number' && whole && value >= kind.min && value <= kind.max
      return fits ? null : `${kind.kind === 'integer' ? 'a whole number' : 'a number'} from ${kind.min} to ${kind.max}`
    }
    case 'choice':
      return typeof value === 'string' && kind.of.includes(value) ? null : `one of ${kind.of.join(', ')}`
    case 'text':
      return typeof value === 'string' && kind.pattern.test(value) ? null : 'a plain name'
  }
}
