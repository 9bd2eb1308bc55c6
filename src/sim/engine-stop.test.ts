import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, test } from 'vitest'
import { type SimEngine, startSimEngine } from './engine.ts'
import { parseArguments, type SimOptions } from './engine-options.ts'

const program = fileURLToPath(new URL('../main/engine-sim.ts', import.meta.url))
const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

interface Run {
  child: ChildProcess
  port: number
  /** Resolves when the output so far contains the text. */
  says(text: string): Promise<void>
  exit: Promise<[code: number | null, signal: string | null]>
}

/** A port that was free a moment ago, as an agent picks one. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

async function run(sim: SimOptions, more: string[] = []): Promise<Run> {
  const port = await freePort()
  const argv = [program, '--model', 'tiny', '--port', String(port), '--max-model-len', '100000', ...more]
  const child = spawn(process.execPath, argv, { env: { FLIGHTDECK_SIM: JSON.stringify(sim) }, stdio: 'pipe' })
  children.push(child)
  let said = ''
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (piece) => {
      said += piece
      for (const look of waiting) look()
    })
  }
  const says = (text: string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (said.includes(text)) resolve()
      }
      waiting.add(look)
      look()
    })
  const exit = once(child, 'close') as Run['exit']
  return { child, port, says, exit }
}

const ready = 'Application startup complete'
const ask = (url: string, more: object, signal?: AbortSignal) =>
  fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', prompt: 'x', ...more }),
    signal: signal ?? null,
  })

describe('as a process', () => {
  test('it refuses its port until it is ready, serves, and leaves with 0 on SIGTERM', async () => {
    const engine = await run({ phasesMs: { weights_load: 300 }, startupMs: 0 })
    await engine.says('Starting to load model')
    await assert.rejects(fetch(`http://127.0.0.1:${engine.port}/health`))
    await engine.says(ready)
    assert.equal((await ask(`http://127.0.0.1:${engine.port}`, { max_tokens: 1 })).status, 200)
    engine.child.kill('SIGTERM')
    await engine.says('[shutdown] API server: shutdown triggered')
    assert.deepEqual(await engine.exit, [0, null])
  })

  test('SIGTERM while it starts ends it at once', async () => {
    const engine = await run({ faults: { hangInPhase: 'weights_load' } })
    await engine.says('Starting to load model')
    engine.child.kill('SIGTERM')
    assert.deepEqual(await engine.exit, [0, null])
  })

  test('an argument that the real engine does not know ends it with code 2 and its name', async () => {
    const engine = await run({}, ['--no-such-flag'])
    await engine.says('error: unrecognized arguments: --no-such-flag')
    assert.deepEqual(await engine.exit, [2, null])
  })

  test('a fault in its start is its exit code', async () => {
    assert.deepEqual(await (await run({ faults: { exitCode: 9 } })).exit, [9, null])
  })

  test('with stop: hang, SIGTERM does not end its start; SIGKILL does', async () => {
    const engine = await run({ startupMs: 0, phasesMs: { compile: 200 }, faults: { stop: 'hang' } })
    await engine.says('Loading weights took')
    engine.child.kill('SIGTERM')
    await engine.says(ready)
    engine.child.kill('SIGKILL')
    assert.deepEqual(await engine.exit, [null, 'SIGKILL'])
  })
})

describe('told to stop with work in flight', () => {
  const slow = { model: 'tiny', tokensPerS: 50, maxModelLen: 100_000 }

  async function streaming(engine: SimEngine, signal?: AbortSignal): Promise<Response> {
    const answer = await ask(engine.url, { stream: true, max_tokens: 9999 }, signal)
    await engine.until(({ generationTokens }) => generationTokens > 0)
    return answer
  }

  test('it ends a stream with an error, not with an end that looks whole', async () => {
    const engine = await startSimEngine(slow)
    const answer = await streaming(engine)
    await engine.close()
    assert.match(await answer.text(), /"error": .*InternalServerError/)
  })

  test('with stop: hang, it refuses new clients and waits for the old one, whom it answers no more', async () => {
    const engine = await startSimEngine({ ...slow, faults: { stop: 'hang' } })
    const leave = new AbortController()
    const answer = await streaming(engine, leave.signal)
    const closing = engine.close()
    await assert.rejects(fetch(`${engine.url}/health`))
    leave.abort()
    await assert.rejects(answer.text())
    await closing
  })
})

describe('the command line', () => {
  const parse = (...argv: string[]) => parseArguments(argv, { FLIGHTDECK_SIM: '{"ttftMs":9,"seed":1}' })

  test('takes the arguments of vLLM, over the options of the environment', () => {
    const { options, unknown } = parse(
      ...['serve', '/m', '--served-model-name', 'a', 'b', '--port=99', '--max_model_len', '77', '--seed', '5'],
      ...['--gpu-memory-utilization', '0.9', '--enforce-eager', '--sim', '{"ttftMs":3}'],
    )
    assert.deepEqual(unknown, [])
    assert.deepEqual(options, {
      startupMs: 1500,
      port: 99,
      ttftMs: 3,
      seed: 5,
      maxModelLen: 77,
      model: '/m',
      servedModelNames: ['a', 'b'],
    })
  })

  test('names what nobody knows', () => {
    assert.deepEqual(parse('--model', 'm', '--bogus', '--also-bogus=1').unknown, ['--bogus', '--also-bogus=1'])
  })
})
