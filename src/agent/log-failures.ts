/** Why an engine could not start or go on, as a person should be told. */
export interface EngineFailure {
  class: FailureClass
  /** Who has to act: `caller` mends the configuration, `node` is this machine, `cloud` is what was ordered. */
  fault: 'caller' | 'node' | 'cloud'
  /** `same`: it may work here the next time. `elsewhere`: another machine may do. `never`: it fails anywhere as it is. */
  retry: 'never' | 'same' | 'elsewhere'
  /** Plain words, with the numbers that the engine named. */
  cause: string
  remedy: string
  /** The line of the log that told, without its prefix. */
  evidence: string
  /** An argument that would have worked, where the engine itself named it. */
  suggestion?: { argument: string; value: number | string }
}

/** What the reader remembers besides the matching line: numbers that another line held. */
export interface FailureContext {
  disk: { needsMb: string; hasMb: string } | null
}

interface FailureRow {
  class: string
  pattern: RegExp
  fault: EngineFailure['fault']
  retry: EngineFailure['retry']
  explain: (match: RegExpExecArray, context: FailureContext) => [cause: string, remedy: string]
  suggest?: (match: RegExpExecArray) => EngineFailure['suggestion']
}

// The order is the rule: the first row that matches any line of the log names the failure, however late other rows matched.
const rows = [
  {
    class: 'gated_no_token',
    pattern: /You must have access to it and be authenticated to access it|401 Client Error.*gated repo/,
    fault: 'caller',
    retry: 'never',
    explain: () => [
      'The model is gated, and no valid Hugging Face token was given.',
      'Set the secret HF_TOKEN to a token of an account that was granted access.',
    ],
  },
  {
    class: 'gated_not_approved',
    pattern: /you are not in the authorized list\.(?: Visit (\S+) to ask for access)?/,
    fault: 'caller',
    retry: 'never',
    explain: ([, page]) => [
      'The model is gated, and the account of the given token has not been granted access.',
      `Ask for access ${page ? `at ${page}` : 'on the page of the model'}, or use the token of an account that has it.`,
    ],
  },
  {
    class: 'disk_full',
    pattern: /No space left on device|\[Errno 28\]|os error 28/,
    fault: 'cloud',
    retry: 'elsewhere',
    explain: (_, { disk }) => [
      `The disk is full${disk ? `: a file of ${disk.needsMb} MB had ${disk.hasMb} MB of room` : ''}.`,
      'Order a larger disk, or a smaller or quantized model.',
    ],
  },
  {
    class: 'gpu_busy',
    pattern:
      /Free memory on device (\S+) \(([\d.]+)\/([\d.]+) GiB\) on startup is less than desired GPU memory utilization \(([\d.]+), ([\d.]+) GiB\)/,
    fault: 'node',
    retry: 'elsewhere',
    explain: ([, device, free, all, share, wanted]) => [
      `Only ${free} of ${all} GiB are free on ${device}, and ${wanted} GiB are wanted (utilization ${share}): another process holds the GPU.`,
      'End the other process, or lower gpu-memory-utilization.',
    ],
  },
  {
    class: 'weights_oom',
    pattern: /Failed to load model - not enough GPU memory/,
    fault: 'caller',
    retry: 'never',
    explain: () => [
      'The weights do not fit into the memory of the GPU.',
      'Take a larger GPU, more GPUs with a higher tensor-parallel-size, or a quantized model.',
    ],
  },
  {
    class: 'kv_none',
    pattern:
      /No available memory for the cache blocks|Not enough memory\. Please try to increase --mem-fraction-static/,
    fault: 'caller',
    retry: 'never',
    explain: () => [
      'The weights fill the GPU: nothing is left for the KV cache.',
      'Take a larger GPU or a quantized model, or raise gpu-memory-utilization.',
    ],
  },
  {
    class: 'kv_short',
    pattern:
      /To serve at least one request with the model's max seq len \((\d+)\), \(?([\d.]+) GiB KV cache is needed, which is larger than the available KV cache memory \(([\d.]+) GiB\)(?:.*estimated maximum model length is (\d+))?/,
    fault: 'caller',
    retry: 'never',
    explain: ([, asked, needed, available, fits]) => [
      `A context of ${asked} tokens needs ${needed} GiB of KV cache, and ${available} GiB are available.`,
      fits
        ? `Set max-model-len to ${fits} or less, or take a larger GPU.`
        : 'Take a larger GPU or a quantized model: no context length fits.',
    ],
    suggest: ([, , , , fits]) => (fits ? { argument: 'max-model-len', value: Number(fits) } : undefined),
  },
  {
    class: 'tensor_parallel',
    pattern: /Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)/,
    fault: 'caller',
    retry: 'never',
    explain: ([, heads, size]) => [
      `The ${heads} attention heads of the model cannot be divided among ${size} GPUs.`,
      `Set tensor-parallel-size to a divisor of ${heads}.`,
    ],
  },
  {
    class: 'tensor_parallel',
    pattern: /World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)/,
    fault: 'caller',
    retry: 'never',
    explain: ([, wanted, present]) => [
      `The engine was told to use ${wanted} GPUs, and the machine has ${present}.`,
      `Order ${wanted} GPUs, or lower tensor-parallel-size and pipeline-parallel-size.`,
    ],
  },
  {
    class: 'architecture',
    pattern:
      /Model architectures \[(.*?)\] (?:are not supported for now|failed to be inspected)|unknown model architecture: '(.*?)'/,
    fault: 'caller',
    retry: 'never',
    explain: ([, list, one]) => [
      `This version of the engine does not support the model's architecture (${list ?? one}).`,
      'Use a newer version of the engine, or another model.',
    ],
  },
  {
    class: 'dtype',
    pattern: /Bfloat16 is only supported on GPUs with compute capability of at least ([\d.]+)\. Your (.+?) GPU/,
    fault: 'caller',
    retry: 'elsewhere',
    explain: ([, least, gpu]) => [
      `The model wants bfloat16, which needs compute capability ${least}; the ${gpu} has less.`,
      'Set dtype to half, or take a newer GPU.',
    ],
    suggest: () => ({ argument: 'dtype', value: 'half' }),
  },
  {
    class: 'driver',
    pattern:
      /The NVIDIA driver on your system is too old|provided PTX was compiled with an unsupported toolchain|Failed to infer device type/,
    fault: 'node',
    retry: 'elsewhere',
    explain: ([found]) => [
      found?.startsWith('Failed to infer')
        ? 'The engine found no GPU that it can use: no device, or no driver.'
        : "The machine's NVIDIA driver is too old for this build of the engine.",
      'Choose an image with a newer driver; VLLM_ENABLE_CUDA_COMPATIBILITY=1 helps on data-centre GPUs.',
    ],
  },
  {
    class: 'nccl',
    pattern: /NCCL error: (.*?)(?: \(run with|$)/,
    fault: 'node',
    retry: 'elsewhere',
    explain: ([, what]) => [
      `The GPUs of the machine could not talk to each other (NCCL: ${what}).`,
      'Give the container a larger /dev/shm and IPC_LOCK; NCCL_DEBUG=INFO in the environment prints the details.',
    ],
  },
  {
    class: 'remote_code',
    pattern: /trust_remote_code=True/,
    fault: 'caller',
    retry: 'never',
    explain: () => [
      'The model brings code of its own, which is not run unless that was allowed.',
      'Use a model without custom code; allowing it means running its authors’ code on the machine.',
    ],
  },
  {
    class: 'context_too_long',
    pattern: /User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \((?:[a-z_]+=(\d+))?/,
    fault: 'caller',
    retry: 'never',
    explain: ([, asked, limit]) => [
      `A context of ${asked} tokens was asked for; the model allows ${limit ?? 'less'}.`,
      `Set max-model-len to ${limit ? `${limit} or less` : 'what the model allows'}.`,
    ],
    suggest: ([, , limit]) => (limit ? { argument: 'max-model-len', value: Number(limit) } : undefined),
  },
  {
    class: 'unknown_argument',
    pattern: /error: unrecognized arguments: (.*)|error: invalid argument: (\S+)/,
    fault: 'caller',
    retry: 'never',
    explain: ([, many, one]) => [
      `The engine does not know the argument ${many ?? one}.`,
      'Remove it, or use a version of the engine that knows it.',
    ],
  },
  {
    class: 'bad_argument',
    pattern: /error: argument (--?[\w/-]+): (.*)/,
    fault: 'caller',
    retry: 'never',
    explain: ([, name, what]) => [`The engine refuses the argument ${name}: ${what}.`, 'Correct its value.'],
  },
  {
    class: 'model_not_found',
    pattern:
      /HFValidationError: .*?: '(.*?)'|Invalid repository ID or local directory specified(?:: '(.*?)')?|(\S+) is not a local folder and is not a valid model identifier|Repository Not Found for url: (\S+)|Cannot find any safetensors model weights with `(.*?)`|failed to open GGUF file '(.*?)'/,
    fault: 'caller',
    retry: 'never',
    explain: ([, ...names]) => [
      `There is no such model: ${names.find((name) => name) ?? 'neither a folder nor a repository of this name'}.`,
      'Check the name or the path. A private repository also needs HF_TOKEN; an offline machine needs the files.',
    ],
  },
  {
    class: 'port_in_use',
    pattern: /port (\d+) is used by process|\[Errno 98\]|EADDRINUSE|couldn't bind HTTP server socket/i,
    fault: 'node',
    retry: 'same',
    explain: ([, port]) => [
      `The port${port ? ` ${port}` : ''} that the engine should listen on is taken by another process.`,
      'Look for an engine that outlived its job, and end it; a restart picks another port.',
    ],
  },
  {
    class: 'weights_broken',
    pattern: /SafetensorError: (.*)|error loading model: (.*)/i,
    fault: 'node',
    retry: 'elsewhere',
    explain: ([, ...what]) => [
      `The files of the weights are broken or incomplete: ${what.find((text) => text) ?? 'they cannot be read'}.`,
      'Delete them from the cache of the machine and download again; when that fails too, the repository is broken.',
    ],
  },
  {
    class: 'gpu_memory',
    pattern: /CUDA out of memory|OutOfMemoryError|cudaMalloc failed: out of memory/,
    fault: 'caller',
    retry: 'never',
    explain: () => [
      'The memory of the GPU ran out.',
      'Lower gpu-memory-utilization, max-num-seqs or max-model-len, or take a larger GPU.',
    ],
  },
  {
    class: 'engine_core_failed',
    pattern: /Engine core initialization failed/,
    fault: 'node',
    retry: 'same',
    explain: () => [
      'The core of the engine could not start, for a reason that is not known here.',
      'Read the engine log; the cause stands above the line that is shown.',
    ],
  },
  {
    class: 'engine_core_failed',
    pattern: /engine core exited unexpectedly|EngineDeadError|Scheduler hit an exception/,
    fault: 'node',
    retry: 'same',
    explain: () => [
      'The core of the engine died while it was serving.',
      'Read the engine log. When it happens again, look at the memory and the health of the GPU.',
    ],
  },
] as const satisfies FailureRow[]

export type FailureClass = (typeof rows)[number]['class'] | 'engine_exited' | 'host_memory'

/** Every class there is, in the order of the table; the last two come from the exit alone. */
export const failureClasses: readonly FailureClass[] = [
  ...new Set<FailureClass>(rows.map((row) => row.class)),
  'host_memory',
  'engine_exited',
]

/** A match: where it stands in the table decides between several. */
export interface FailureMatch {
  rank: number
  found: RegExpExecArray
}

/** Tests one line against the rows above `below`; a line after a better match needs to be tested no further. */
export function matchFailure(line: string, below: number): FailureMatch | null {
  for (let rank = 0; rank < Math.min(below, rows.length); rank++) {
    const found = rows[rank]?.pattern.exec(line)
    if (found) return { rank, found }
  }
  return null
}

export const lowestRank = rows.length

/** True for the rows that only say that the core is gone, and not why. */
export const isFallback = ({ rank }: FailureMatch): boolean => rows[rank]?.class === 'engine_core_failed'

export function explainFailure(match: FailureMatch, context: FailureContext, evidence: string): EngineFailure {
  const row: FailureRow & { class: FailureClass } = rows[match.rank] ?? rows[rows.length - 1] ?? neverEmpty()
  const [cause, remedy] = row.explain(match.found, context)
  const suggestion = row.suggest?.(match.found)
  const { fault, retry } = row
  return { class: row.class, fault, retry, cause, remedy, evidence, ...(suggestion ? { suggestion } : {}) }
}

function neverEmpty(): never {
  throw new Error('The table of failures is empty.')
}
