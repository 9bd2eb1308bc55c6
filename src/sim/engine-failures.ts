/** A start that fails as the real engine fails: what it printed, how it left. The names are the log reader's classes. */
export interface FailureScript {
  exitCode: number
  /** `api` fails before the engine core is started; `core` fails inside it, so the cause stands far above the end. */
  where: 'api' | 'core'
  /** Lines printed before the stack trace. */
  before?: string[]
  /** The last line of the trace. */
  error: string
}

const gib = 'GiB'

export const failureScripts = {
  gated_no_token: {
    exitCode: 1,
    where: 'api',
    before: [
      'requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/acme/gated/resolve/main/config.json',
      'Cannot access gated repo for url https://huggingface.co/acme/gated/resolve/main/config.json.',
    ],
    error:
      'OSError: You are trying to access a gated repo. Access to model acme/gated is restricted. You must have access to it and be authenticated to access it. Please log in.',
  },
  gated_not_approved: {
    exitCode: 1,
    where: 'api',
    before: [
      'requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://huggingface.co/acme/gated/resolve/main/config.json',
    ],
    error:
      'OSError: Access to model acme/gated is restricted and you are not in the authorized list. Visit https://huggingface.co/acme/gated to ask for access.',
  },
  disk_full: {
    exitCode: 1,
    where: 'core',
    before: [
      'UserWarning: Not enough free disk space to download the file. The expected file size is: 9976.58 MB. The target location /root/.cache/huggingface only has 2114.20 MB free disk space.',
    ],
    error: "OSError: [Errno 28] No space left on device: '/root/.cache/huggingface/blobs/1f2e.incomplete'",
  },
  gpu_busy: {
    exitCode: 1,
    where: 'core',
    error: `ValueError: Free memory on device cuda:0 (10.31/79.25 ${gib}) on startup is less than desired GPU memory utilization (0.92, 72.91 ${gib}). Decrease GPU memory utilization or reduce GPU memory used by other processes.`,
  },
  weights_oom: {
    exitCode: 1,
    where: 'core',
    error:
      'RuntimeError: Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization to free memory for weights, increasing --tensor-parallel-size, or using --quantization.',
  },
  kv_none: {
    exitCode: 1,
    where: 'core',
    error:
      'ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.',
  },
  kv_short: {
    exitCode: 1,
    where: 'core',
    error: `ValueError: To serve at least one request with the model's max seq len (131072), (16.00 ${gib} KV cache is needed, which is larger than the available KV cache memory (5.86 ${gib}). Based on the available memory, the estimated maximum model length is 48000. Try increasing \`gpu_memory_utilization\` or decreasing \`max_model_len\` when initializing the engine.`,
  },
  context_too_long: {
    exitCode: 1,
    where: 'api',
    before: ['pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig'],
    error:
      "  Value error, User-specified max_model_len (4096) is greater than the derived max_model_len (max_position_embeddings=2048.0 or model_max_length=None in model's config.json). To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1.",
  },
  unknown_argument: {
    exitCode: 2,
    where: 'api',
    error: 'vllm: error: unrecognized arguments: --no-such-flag',
  },
  model_not_found: {
    exitCode: 1,
    where: 'api',
    error:
      "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/opt/absent'. Use `repo_type` argument if needed.",
  },
  port_in_use: { exitCode: 1, where: 'api', error: 'OSError: [Errno 98] Address already in use' },
  weights_broken: {
    exitCode: 1,
    where: 'core',
    error:
      'safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered',
  },
  tensor_parallel: {
    exitCode: 1,
    where: 'api',
    error: 'ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).',
  },
  architecture: {
    exitCode: 1,
    where: 'api',
    error: "ValueError: Model architectures ['DreamForCausalLM'] are not supported for now.",
  },
  dtype: {
    exitCode: 1,
    where: 'api',
    error:
      'ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half.',
  },
  driver: {
    exitCode: 1,
    where: 'core',
    error:
      'RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update your GPU driver.',
  },
  nccl: {
    exitCode: 1,
    where: 'core',
    error: 'RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)',
  },
  remote_code: {
    exitCode: 1,
    where: 'api',
    error:
      'ValueError: The repository acme/odd contains custom code which must be executed to correctly load the model. Please pass the argument `trust_remote_code=True` to allow custom code to be run.',
  },
  engine_core_failed: { exitCode: 1, where: 'core', error: 'RuntimeError: something nobody has a row for' },
} as const satisfies Record<string, FailureScript>

export type SimFailure = keyof typeof failureScripts

const frame = [
  '  File "/opt/vllm/lib/python3.12/site-packages/vllm/entrypoints/launchers/api_server/entry.py", line 177, in run_server',
  '    await run_server_worker(listen_address, sock, args, **uvicorn_kwargs)',
]
const usage = [
  'usage: vllm [-h] [-v]',
  '            {chat,complete,serve,launch,bench,collect-env,run-batch}',
  '            ...',
]

/** Everything that is printed from the failure to the exit. `core` prefixes a line as the engine core does. */
export function failureLines(script: FailureScript, core: (level: string, text: string) => string): string[] {
  const { before = [], error } = script
  if (script.exitCode === 2) return [...usage, error]
  const trace = ['Traceback (most recent call last):', ...frame]
  if (script.where === 'api') return [...trace, ...before, error]
  const inCore = ['EngineCore failed to start.', ...trace, ...before, error].map((text) => core('ERROR', text))
  const last = 'RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'
  return [...inCore, ...trace, `${last}'EngineCore': 1}`]
}
