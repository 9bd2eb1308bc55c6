import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { type EnginePhase, enginePhases } from '../core/phases.ts'
import { startSimEngine } from '../sim/engine.ts'
import { failureScripts } from '../sim/engine-failures.ts'
import { failureClasses } from './log-failures.ts'
import { classifyExit, createLogReader, type LogFinding } from './log-reader.ts'

const fixtures = new URL('../../test/fixtures/vllm/', import.meta.url)
const names = readdirSync(fixtures).filter((name) => name.startsWith('log.'))
const fixture = (name: string) => readFileSync(new URL(name, fixtures), 'utf8')

function read(text: string) {
  const reader = createLogReader()
  const findings = reader.push(text)
  return { reader, findings, phases: entered(findings), result: reader.result() }
}

function entered(findings: readonly LogFinding[]): EnginePhase[] {
  return findings.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1])
}

const recordedExit = (text: string) => {
  const code = /exit code: (\d+)/.exec(text)?.[1]
  return code === undefined ? null : Number(code)
}

describe('what a real vLLM printed:', () => {
  const starts: [string, EnginePhase[]][] = [
    ['log.start.warm.txt', ['weights_load', 'compile', 'kv_cache', 'warmup', 'server_start']],
    ['log.start.eager.txt', ['weights_load', 'kv_cache', 'warmup', 'server_start']],
    ['log.start.runai.txt', ['weights_load', 'kv_cache', 'warmup', 'server_start']],
    ['log.start.uni.txt', ['weights_load', 'kv_cache', 'warmup', 'server_start']],
    ['log.start_then_sigterm.txt', ['weights_load', 'kv_cache', 'warmup', 'server_start']],
    ['log.sigterm_hang.txt', ['weights_load', 'kv_cache', 'warmup', 'server_start']],
    ['log.core_killed.txt', ['weights_load', 'kv_cache', 'warmup', 'server_start']],
  ]
  test.each(starts)('%s: every phase in order, up to serving', (name, phases) => {
    const { phases: seen, result, findings } = read(fixture(name))
    assert.deepEqual(seen, ['engine_start', 'engine_init', ...phases])
    assert.equal(result.serving, true)
    assert.equal(result.version, '0.32.0')
    const bar = findings.filter(({ phase }) => phase === 'weights_load').map(({ percent }) => percent)
    assert.deepEqual(bar, [null, 0, 100])
  })

  test.each(starts.map(([name]) => name).filter((name) => name !== 'log.core_killed.txt'))(
    '%s: no failure, although it may end with EngineDeadError',
    (name) => {
      const { reader, result } = read(fixture(name))
      assert.equal(result.failure, null)
      assert.equal(reader.result({ stopAsked: true }).failure, null)
      assert.equal(classifyExit({ code: 0, signal: null, stopAsked: true, reader }), null)
    },
  )

  test('a SIGTERM that we did not send is told as such', () => {
    const { reader } = read(fixture('log.start_then_sigterm.txt'))
    const failure = classifyExit({ code: 0, signal: null, stopAsked: false, reader })
    assert.equal(failure?.class, 'engine_exited')
    assert.match(failure?.cause ?? '', /signal that did not come from us/)
  })

  const failed: [string, string, RegExp, object | undefined][] = [
    ['log.fail.broken_weights.txt', 'weights_broken', /invalid header length/, undefined],
    ['log.fail.max_model_len.txt', 'context_too_long', /4096.*2048/, { argument: 'max-model-len', value: 2048 }],
    ['log.fail.model_absent.txt', 'model_not_found', /\/opt\/absent/, undefined],
    ['log.fail.port_in_use.txt', 'port_in_use', /taken/, undefined],
    ['log.fail.unknown_arg.txt', 'unknown_argument', /--no-such-flag/, undefined],
  ]
  test.each(failed)('%s: %s', (name, wanted, cause, suggestion) => {
    const text = fixture(name)
    const { reader, result } = read(text)
    assert.equal(result.serving, false)
    const failure = classifyExit({ code: recordedExit(text), signal: null, stopAsked: false, reader })
    assert.equal(failure?.class, wanted)
    assert.match(failure?.cause ?? '', cause)
    assert.deepEqual(failure?.suggestion, suggestion)
    assert.ok(text.includes(failure?.evidence ?? 'nothing'))
  })

  test('log.core_killed.txt: the core died while it was serving', () => {
    const { reader } = read(fixture('log.core_killed.txt'))
    const failure = classifyExit({ code: 1, signal: null, stopAsked: false, reader })
    assert.equal(failure?.class, 'engine_core_failed')
    assert.match(failure?.cause ?? '', /while it was serving/)
  })

  test('every recorded log is covered by a case above', () => {
    const covered = [...starts.map(([name]) => name), ...failed.map(([name]) => name)]
    assert.deepEqual(covered.sort(), names.sort())
  })

  test('the pieces in which a log arrives change nothing', () => {
    for (const name of names) {
      const text = fixture(name)
      const whole = read(text)
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 20, maxLength: 40 }), (sizes) => {
          const reader = createLogReader()
          const findings: LogFinding[] = []
          for (let at = 0, i = 0; at < text.length; i++) {
            const size = sizes[i % sizes.length] ?? 1
            findings.push(...reader.push(text.slice(at, at + size)))
            at += size
          }
          assert.deepEqual(findings, whole.findings)
          assert.deepEqual(reader.result(), whole.result)
        }),
        { numRuns: 15 },
      )
    }
  })
})

describe('every known failure is named from its literal text:', () => {
  const lines: [string, string, RegExp][] = [
    [
      'gated_no_token',
      'Access to model acme/m is restricted. You must have access to it and be authenticated to access it. Please log in.',
      /no valid Hugging Face token/,
    ],
    [
      'gated_not_approved',
      'Access to model acme/m is restricted and you are not in the authorized list. Visit https://huggingface.co/acme/m to ask for access.',
      /has not been granted access/,
    ],
    ['disk_full', "OSError: [Errno 28] No space left on device: '/root/.cache'", /disk is full/],
    ['disk_full', 'RuntimeError: Data processing error: IO Error: No space left on device (os error 28)', /disk/],
    [
      'gpu_busy',
      'ValueError: Free memory on device cuda:0 (10.31/79.25 GiB) on startup is less than desired GPU memory utilization (0.92, 72.91 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.',
      /10\.31 of 79\.25 GiB.*72\.91/,
    ],
    [
      'weights_oom',
      'Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization to free memory',
      /do not fit/,
    ],
    ['kv_none', 'ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`', /KV/],
    [
      'kv_short',
      "ValueError: To serve at least one request with the model's max seq len (131072), (16.00 GiB KV cache is needed, which is larger than the available KV cache memory (5.86 GiB). Based on the available memory, the estimated maximum model length is 48000. Try increasing",
      /131072 tokens needs 16\.00 GiB.*5\.86/,
    ],
    [
      'tensor_parallel',
      'ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).',
      /28.*8/,
    ],
    [
      'tensor_parallel',
      'ValueError: World size (4) is larger than the number of available GPUs (1) in this node. If this is intentional',
      /4 GPUs, and the machine has 1/,
    ],
    ['architecture', "ValueError: Model architectures ['DreamLM'] are not supported for now.", /DreamLM/],
    [
      'architecture',
      "Model architectures ['Odd'] failed to be inspected. Please check the logs for more details.",
      /Odd/,
    ],
    [
      'dtype',
      'ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half.',
      /Tesla T4/,
    ],
    ['driver', 'RuntimeError: The NVIDIA driver on your system is too old (found version 12020).', /driver is too old/],
    ['driver', 'torch.AcceleratorError: the provided PTX was compiled with an unsupported toolchain.', /driver/],
    ['driver', 'RuntimeError: Failed to infer device type', /no GPU/],
    ['nccl', 'RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)', /unhandled/],
    [
      'remote_code',
      'ValueError: acme/m contains custom code. Please pass the argument `trust_remote_code=True` to allow it.',
      /code of its own/,
    ],
    [
      'port_in_use',
      'port 8000 is used by process psutil.Process(pid=1) launched with command: vllm serve',
      /port 8000/,
    ],
    ['bad_argument', "vllm serve: error: argument --port: invalid int value: 'x'", /--port.*invalid int/],
    [
      'model_not_found',
      'OSError: acme/m is not a local folder and is not a valid model identifier listed on',
      /acme\/m/,
    ],
    ['gpu_memory', 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.', /ran out/],
    [
      'weights_broken',
      "llama_model_load: error loading model: tensor 'x' data is not within the file bounds",
      /bounds/,
    ],
    ['architecture', "llama_model_load: error loading model: unknown model architecture: 'odd'", /odd/],
    ['engine_core_failed', 'RuntimeError: Engine core initialization failed. See root cause above.', /not known/],
  ]
  test.each(lines)('%s: %s', (wanted, line, cause) => {
    const prefixed = `(EngineCore pid=77) ERROR 11-23 18:32:09 [core.py:1510] ${line}\n`
    for (const text of [`${line}\n`, line, prefixed]) {
      const { failure } = read(text).result
      assert.equal(failure?.class, wanted)
      assert.match(failure?.cause ?? '', cause)
      assert.equal(failure?.evidence, line)
      assert.ok(failure?.remedy)
    }
  })

  test('every class of the table has a line here or a recorded log', () => {
    const recorded = ['context_too_long', 'unknown_argument', 'host_memory', 'engine_exited']
    const seen = new Set([...lines.map(([name]) => name), ...recorded])
    assert.deepEqual(
      failureClasses.filter((name) => !seen.has(name)),
      [],
    )
  })

  test('the numbers of a message become a suggestion that can be applied', () => {
    const line = lines.find(([name]) => name === 'kv_short')?.[1] ?? ''
    assert.deepEqual(read(line).result.failure?.suggestion, { argument: 'max-model-len', value: 48000 })
    // The engine leaves the estimate out when nothing fits at all.
    const without = read(line.replace(/Based on.*?48000\. /, '')).result.failure
    assert.equal(without?.class, 'kv_short')
    assert.equal(without?.suggestion, undefined)
    assert.match(without?.remedy ?? '', /no context length fits/)
  })

  test('a full disk is explained with the sizes that an earlier warning named', () => {
    const warning =
      'UserWarning: Not enough free disk space to download the file. The expected file size is: 9976.58 MB. The target location /c only has 2114.20 MB free disk space.\n'
    assert.equal(read(warning).result.failure, null)
    const { failure } = read(`${warning}OSError: [Errno 28] No space left on device\n`).result
    assert.match(failure?.cause ?? '', /9976\.58 MB had 2114\.20 MB/)
  })
})

describe('the reader', () => {
  test('does not take configuration or warnings on the way for a failure', () => {
    const { result } = read(
      [
        "(APIServer pid=1) INFO 11-23 18:24:32 [api_utils.py:286] non-default args: {'trust_remote_code=True': 1}",
        '(EngineCore pid=2) INFO 11-23 18:24:32 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: trust_remote_code=True',
        'RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)',
        'INFO:     Application startup complete.\n',
      ].join('\n'),
    )
    assert.equal(result.failure, null)
  })

  test('names the cause above the line that only says that the core failed', () => {
    const { failure } = read(
      'ZeroDivisionError: integer division\nException: WorkerProc initialization failed\nRuntimeError: Engine core initialization failed. See root cause above.\n',
    ).result
    assert.equal(failure?.class, 'engine_core_failed')
    assert.equal(failure?.evidence, 'ZeroDivisionError: integer division')
  })

  test('the order of the table decides, not the order of the lines', () => {
    const lines = ['RuntimeError: Engine core initialization failed.', 'OSError: [Errno 28] No space left on device']
    for (const text of [lines.join('\n'), lines.toReversed().join('\n')]) {
      assert.equal(read(`${text}\n`).result.failure?.class, 'disk_full')
    }
  })

  test('strips colours and follows a bar that is rewritten without ever ending its line', () => {
    const reader = createLogReader()
    reader.push('\u001b[0;36m(Worker pid=3)\u001b[0;0m INFO 11-23 18:24:32 [x.py:1] Starting to load model /m...\n')
    const percents = [3, 40, 40, 99].flatMap((n) =>
      reader.push(`\rLoading safetensors checkpoint shards:  ${n}% Completed | 1/9 [00:01<00:09]`),
    )
    assert.deepEqual(
      percents,
      [3, 40, 99].map((percent) => ({ phase: 'weights_load', percent })),
    )
  })

  test('a hub name is fetched before it is loaded; a path and an object store are not', () => {
    const start = (model: string) => entered(read(`Starting to load model ${model}...\n`).findings)
    assert.deepEqual(start('acme/model'), ['engine_start', 'weights_download'])
    assert.deepEqual(start('/models/x'), ['engine_start', 'weights_load'])
    assert.deepEqual(start('s3://bucket/x'), ['engine_start', 'weights_load'])
  })

  test('phases never go back', () => {
    const { phases } = read(
      'GPU KV cache size: 10 tokens\nStarting to load model /m...\nWarming up model for the compilation\n',
    )
    assert.deepEqual(phases, ['engine_start', 'kv_cache'])
  })

  test('a line without end costs no more memory than its cap', () => {
    const reader = createLogReader()
    for (let i = 0; i < 200; i++) reader.push('x'.repeat(10_000))
    reader.push('\nOSError: [Errno 98] Address already in use\n')
    assert.equal(reader.result().failure?.class, 'port_in_use')
    assert.ok(reader.result().hint.length <= 1000)
  })

  test('reads the phases of SGLang and of llama-server', () => {
    const sglang = [
      '[2026-05-23 07:40:49 TP0] Init torch distributed begin.',
      '[2026-05-23 07:40:53 TP0] Load weight begin. avail mem=50.69 GB',
      '[2026-05-23 07:40:59 TP0] Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16',
      '[2026-05-23 07:41:00 TP0] KV Cache is allocated. #tokens: 383872, KV size: 19.36 GB',
      '[2026-05-23 07:41:01 TP0] Capture cuda graph begin. This can take up to several minutes. avail mem=9.00 GB',
      'Capturing batches (avail_mem=9.00 GB):  50%|#####     | 2/4 [00:01<00:01]',
      '[2026-05-23 07:41:05] INFO:     Started server process [77]',
      '[2026-05-23 07:41:06] The server is fired up and ready to roll!\n',
    ]
    const seen = read(sglang.join('\n'))
    const wanted = ['engine_start', 'engine_init', 'weights_load', 'kv_cache', 'graphs', 'server_start']
    assert.deepEqual(seen.phases, wanted)
    assert.equal(seen.result.serving, true)
    const llama = [
      'main: HTTP server is listening, hostname: 127.0.0.1, port: 8080, http threads: 7',
      "srv    load_model: loading model 'model.gguf'",
      'common_init_from_params: warming up the model with an empty run - please wait ... (--no-warmup to disable)',
    ]
    assert.deepEqual(read(llama.join('\n')).phases, ['engine_start', 'weights_load'])
    assert.equal(read(llama.join('\n')).result.serving, false)
    llama.push('main: server is listening on http://127.0.0.1:8080 - starting the main loop\n')
    assert.deepEqual(read(llama.join('\n')).phases, ['engine_start', 'weights_load', 'warmup', 'server_start'])
  })
})

describe('an exit without a reason in the log', () => {
  const exit = (code: number | null, signal: string | null, stopAsked = false, text = 'some last words') =>
    classifyExit({ code, signal, stopAsked, reader: read(text).reader })

  test('is named by its code or signal, with the last line as evidence', () => {
    const failure = exit(3, null)
    assert.equal(failure?.class, 'engine_exited')
    assert.match(failure?.cause ?? '', /exit code 3/)
    assert.equal(failure?.evidence, 'some last words')
    assert.match(exit(null, 'SIGSEGV')?.cause ?? '', /SIGSEGV/)
  })

  test('by SIGKILL points at the memory of the machine', () => {
    assert.equal(exit(null, 'SIGKILL')?.class, 'host_memory')
    assert.equal(exit(137, null)?.class, 'host_memory')
  })

  test('is no failure when we asked for it, whatever was printed', () => {
    assert.equal(exit(1, null, true, 'OSError: [Errno 98] Address already in use'), null)
    assert.equal(exit(null, 'SIGKILL', true), null)
  })
})

describe('the simulated engine speaks so that the reader understands:', () => {
  const start = async (options: Parameters<typeof startSimEngine>[0]) => {
    const said: string[] = []
    const engine = await startSimEngine({ ...options, log: (text) => said.push(text) }).catch(() => null)
    return { engine, text: () => said.join('') }
  }

  test('all phases, in the order and under the names that core knows', async () => {
    const { text, engine } = await start({ model: 'acme/m', phasesMs: { weights_download: 1 } })
    const { phases, result, findings } = read(text())
    assert.deepEqual(phases, [...enginePhases])
    assert.equal(result.serving, true)
    assert.ok(findings.some(({ phase, percent }) => phase === 'weights_load' && percent === 50))
    await engine?.close()
  })

  test('without a download there is none in the log either', async () => {
    const { text, engine } = await start({ model: 'sim' })
    assert.deepEqual(
      read(text()).phases,
      enginePhases.filter((phase) => phase !== 'weights_download'),
    )
    await engine?.close()
  })

  test('its stop is no failure, its death is one', async () => {
    const stopped = await start({})
    await stopped.engine?.close()
    assert.match(stopped.text(), /EngineDeadError/)
    assert.equal(read(stopped.text()).result.failure, null)
    const dead = await start({ faults: { dieAfterRequests: 1 } })
    const body = JSON.stringify({ prompt: 'x', max_tokens: 1 })
    const headers = { 'content-type': 'application/json' }
    await fetch(`${dead.engine?.url}/v1/completions`, { method: 'POST', headers, body })
    assert.equal(await dead.engine?.died, 0)
    assert.equal(read(dead.text()).result.failure?.class, 'engine_core_failed')
  })

  test.each(Object.keys(failureScripts) as (keyof typeof failureScripts)[])('failure %s', async (name) => {
    const { text, engine } = await start({ faults: { startFailure: name } })
    assert.equal(engine, null)
    assert.equal(read(text()).result.failure?.class, name)
  })
})
