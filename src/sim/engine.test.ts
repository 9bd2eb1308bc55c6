import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { afterEach, describe, test } from 'vitest'
import { type SimEngine, SimExit, startSimEngine } from './engine.ts'
import type { SimFaults, SimOptions } from './engine-options.ts'

const engines: SimEngine[] = []

async function start(options: SimOptions = {}): Promise<SimEngine> {
  const engine = await startSimEngine({ servedModelNames: ['tiny'], model: '/opt/tiny', maxModelLen: 1024, ...options })
  engines.push(engine)
  return engine
}

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()))
})

interface Recorded {
  status: number
  contentType: string | null
  body: string
}

function recorded(name: string): Recorded {
  const text = readFileSync(new URL(`../../test/fixtures/vllm/${name}.http.txt`, import.meta.url), 'utf8')
  const [head = '', ...rest] = text.replaceAll('\r\n', '\n').split('\n\n')
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(head)?.[1]),
    contentType: /^content-type: (.*)$/m.exec(head)?.[1] ?? null,
    body: rest.join('\n\n'),
  }
}

/** The place of every field in a JSON value, with the kind of what is there: what a strict client depends on. */
function shape(value: unknown, path = ''): string[] {
  if (Array.isArray(value))
    return value.length === 0 ? [`${path}[]`] : value.flatMap((item) => shape(item, `${path}[]`))
  if (value === null || typeof value !== 'object') return [`${path}: ${value === null ? 'null' : typeof value}`]
  return Object.entries(value).flatMap(([key, inner]) => shape(inner, `${path}.${key}`))
}

const shapes = (values: unknown[]) => [...new Set(values.flatMap((value) => shape(value)))].sort()

function events(body: string): { json: unknown[]; last: string | undefined } {
  const data = [...body.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? '')
  return { json: data.filter((text) => text.startsWith('{')).map((text) => JSON.parse(text)), last: data.at(-1) }
}

function post(engine: SimEngine, path: string, body: object | string, signal?: AbortSignal): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const headers = { 'content-type': 'application/json' }
  return fetch(engine.url + path, { method: 'POST', headers, body: text, signal: signal ?? null })
}

const messages = [{ role: 'user', content: 'where does the machine stand today' }]
const chat = (more: object = {}) => ({ model: 'tiny', messages, ...more })
const continuous = { include_usage: true, continuous_usage_stats: true }
const completion = { model: 'tiny', prompt: 'the launch', max_tokens: 3 }
const endless = { tokensPerS: 50, maxModelLen: 100_000 }

describe('answers have the fields, the status and the content type of a real vLLM 0.32:', () => {
  const cases: [string, (engine: SimEngine) => Promise<Response>][] = [
    ['chat', (engine) => post(engine, '/v1/chat/completions', chat({ max_tokens: 8 }))],
    ['models', (engine) => fetch(`${engine.url}/v1/models`)],
    ['version', (engine) => fetch(`${engine.url}/version`)],
    ['load', (engine) => fetch(`${engine.url}/load`)],
    ['error.bad_json', (engine) => post(engine, '/v1/chat/completions', '{"model":"tiny" "messages":[]}')],
    ['error.bad_type', (engine) => post(engine, '/v1/chat/completions', { model: 'tiny', messages: 'x' })],
    ['error.context_length', (engine) => post(engine, '/v1/chat/completions', chat({ max_tokens: 5000 }))],
    ['error.unknown_model', (engine) => post(engine, '/v1/chat/completions', { ...chat(), model: 'nope' })],
    ['error.embeddings_not_supported', (engine) => post(engine, '/v1/embeddings', { model: 'tiny', input: 'x' })],
    ['error.not_found', (engine) => fetch(`${engine.url}/nope`)],
    ['error.method', (engine) => fetch(`${engine.url}/v1/completions`)],
    ['error.field_missing', (engine) => post(engine, '/v1/chat/completions', { model: 'tiny' })],
    ['error.prompt_missing', (engine) => post(engine, '/v1/completions', { model: 'tiny', max_tokens: 3 })],
    ['error.max_tokens_zero', (engine) => post(engine, '/v1/completions', { ...completion, max_tokens: 0 })],
    [
      'error.prompt_too_long',
      (engine) => post(engine, '/v1/completions', { ...completion, prompt: 'a '.repeat(1100) }),
    ],
    ['error.content_type', (engine) => fetch(`${engine.url}/v1/completions`, { method: 'POST', body: '{}' })],
    ['completions', (engine) => post(engine, '/v1/completions', completion)],
  ]
  test.each(cases)('%s', async (name, ask) => {
    const sample = recorded(name)
    const answer = await ask(await start())
    assert.equal(answer.status, sample.status)
    assert.equal(answer.headers.get('content-type'), sample.contentType)
    assert.deepEqual(shapes([await answer.json()]), shapes([JSON.parse(sample.body)]))
  })

  const streams: [string, string, object][] = [
    ['chat.stream', '/v1/chat/completions', chat({ stream: true, stream_options: { include_usage: true } })],
    ['completions.stream', '/v1/completions', { ...completion, stream: true }],
    ['chat.stream.continuous', '/v1/chat/completions', chat({ stream: true, stream_options: continuous })],
    ['completions.stream.usage', '/v1/completions', { ...completion, stream: true, stream_options: continuous }],
  ]
  test.each(streams)('%s', async (name, path, body) => {
    const sample = recorded(name)
    const answer = await post(await start(), path, body)
    assert.equal(answer.headers.get('content-type'), sample.contentType)
    const [real, ours] = [events(sample.body), events(await answer.text())]
    assert.deepEqual(shapes(ours.json), shapes(real.json))
    assert.equal(ours.last, '[DONE]')
  })

  test('health is an empty 200', async () => {
    const answer = await fetch(`${(await start()).url}/health`)
    assert.equal(answer.status, 200)
    assert.equal(await answer.text(), '')
  })

  test('the refusals say what the real ones say, word for word', async () => {
    const engine = await start()
    for (const [name, path, body] of [
      ['error.bad_type', '/v1/chat/completions', { model: 'tiny', messages: 'x' }],
      ['error.context_length', '/v1/chat/completions', chat({ max_tokens: 5000 })],
      ['error.unknown_model', '/v1/chat/completions', { ...chat(), model: 'nope' }],
      ['error.field_missing', '/v1/chat/completions', { model: 'tiny' }],
      ['error.prompt_missing', '/v1/completions', { model: 'tiny', max_tokens: 3 }],
      ['error.max_tokens_zero', '/v1/completions', { ...completion, max_tokens: 0 }],
    ] as const) {
      assert.deepEqual(await (await post(engine, path, body)).json(), JSON.parse(recorded(name).body))
    }
  })

  test('metrics use names and labels that the real engine has', async () => {
    const engine = await start()
    await (await post(engine, '/v1/chat/completions', chat())).text()
    const rows = (text: string) =>
      new Set(
        text
          .split('\n')
          .filter((line) => /^(vllm|http)/.test(line))
          .map((line) => line.replace(/ [^ ]*$/, '').replace(/(handler|method|status)="[^"]*"/g, '$1')),
      )
    const real = rows(readFileSync(new URL('../../test/fixtures/vllm/metrics.txt', import.meta.url), 'utf8'))
    const ours = rows(await (await fetch(`${engine.url}/metrics`)).text())
    assert.deepEqual(
      [...ours].filter((row) => !real.has(row)),
      [],
    )
    assert.ok(ours.size > 100)
  })
})

test('the same seed and prompt give the same text, another seed gives another', async () => {
  const read = async (seed: number) => {
    const answer = await post(await start({ seed }), '/v1/completions', { model: 'tiny', prompt: 'a b c' })
    return (await answer.json()) as { choices: [{ text: string }]; usage: object }
  }
  const [one, two, other] = [await read(1), await read(1), await read(2)]
  assert.equal(one.choices[0].text, two.choices[0].text)
  assert.notEqual(one.choices[0].text, other.choices[0].text)
  assert.equal(one.choices[0].text.split(' ').length, 16)
  assert.deepEqual(one.usage, {
    prompt_tokens: 3,
    total_tokens: 19,
    completion_tokens: 16,
    prompt_tokens_details: null,
    completion_tokens_details: null,
  })
})

test('a streamed answer and a plain one carry the same text and token counts', async () => {
  const engine = await start({ tokensPerS: 0, ttftMs: 0 })
  const ask = chat({ max_tokens: 40 })
  const plain = (await (await post(engine, '/v1/chat/completions', ask)).json()) as {
    choices: [{ message: { content: string } }]
  }
  const wish = { stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } }
  const streamed = events(await (await post(engine, '/v1/chat/completions', { ...ask, ...wish })).text()).json as {
    choices: { delta: { content: string } }[]
    usage: { completion_tokens: number }
  }[]
  const text = streamed.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
  assert.equal(text, plain.choices[0].message.content)
  assert.deepEqual(streamed.map((chunk) => chunk.usage.completion_tokens).slice(-3), [39, 40, 40])
})

test('an answer with a natural end stops there and says so', async () => {
  const engine = await start({ replyTokens: 3 })
  const answer = (await (await post(engine, '/v1/chat/completions', chat({ max_tokens: 9 }))).json()) as {
    choices: [{ finish_reason: string }]
    usage: { completion_tokens: number }
  }
  assert.equal(answer.choices[0].finish_reason, 'stop')
  assert.equal(answer.usage.completion_tokens, 3)
})

test('a client that leaves stops its generation at once, and the engine counts it as aborted', async () => {
  const engine = await start(endless)
  const leave = new AbortController()
  const stream = await post(engine, '/v1/chat/completions', chat({ stream: true, max_tokens: 9999 }), leave.signal)
  await stream.body?.getReader().read()
  const plain = post(engine, '/v1/completions', { model: 'tiny', prompt: 'x', max_tokens: 9999 }, leave.signal)
  await engine.until(({ running }) => running === 2)
  leave.abort()
  await assert.rejects(plain)
  const counts = await engine.until(({ abort }) => abort === 2)
  assert.equal(counts.running, 0)
  const page = await (await fetch(`${engine.url}/metrics`)).text()
  assert.match(page, /vllm:request_success_total\{engine="0",finished_reason="abort",model_name="tiny"\} 2\.0/)
})

test('no more generations run than max-num-seqs; the rest waits, and leaves the queue when its client does', async () => {
  const engine = await start({ ...endless, maxNumSeqs: 1 })
  const [first, second] = [new AbortController(), new AbortController()]
  const ask = { model: 'tiny', prompt: 'x', max_tokens: 9999 }
  const answers = [assert.rejects(post(engine, '/v1/completions', ask, first.signal))]
  await engine.until(({ running }) => running === 1)
  answers.push(assert.rejects(post(engine, '/v1/completions', ask, second.signal)))
  await engine.until(({ running, waiting }) => running === 1 && waiting === 1)
  const third = post(engine, '/v1/completions', { ...ask, max_tokens: 1 })
  await engine.until(({ waiting }) => waiting === 2)
  second.abort()
  await engine.until(({ waiting, abort }) => waiting === 1 && abort === 1)
  first.abort()
  assert.equal((await third).status, 200)
  await Promise.all(answers)
})

test('embeddings are unit vectors, as numbers or base64, where the task allows them', async () => {
  const engine = await start({ task: 'embed' })
  const ask = { model: 'tiny', input: ['one two', 'three'] }
  const plain = (await (await post(engine, '/v1/embeddings', ask)).json()) as { data: { embedding: number[] }[] }
  const packed = (await (await post(engine, '/v1/embeddings', { ...ask, encoding_format: 'base64' })).json()) as {
    data: { embedding: string }[]
    usage: { prompt_tokens: number }
  }
  const [vector = []] = plain.data.map((row) => row.embedding)
  assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-9)
  const bytes = Buffer.from(packed.data[0]?.embedding ?? '', 'base64')
  assert.ok(Math.abs(bytes.readFloatLE(4) - (vector[1] ?? 0)) < 1e-6)
  assert.equal(packed.usage.prompt_tokens, 3)
  assert.equal((await post(engine, '/v1/chat/completions', chat())).status, 404)
})

describe('faults:', () => {
  const stream = (engine: SimEngine) => post(engine, '/v1/chat/completions', chat({ stream: true, max_tokens: 20 }))

  async function readAll(answer: Response): Promise<{ text: string; broke: boolean }> {
    let text = ''
    const decoder = new TextDecoder()
    try {
      for await (const piece of answer.body ?? []) text += decoder.decode(piece, { stream: true })
      return { text, broke: false }
    } catch {
      return { text, broke: true }
    }
  }

  test('health can answer 503 while all else works', async () => {
    const engine = await start({ faults: { health: 'unavailable' } })
    assert.equal((await fetch(`${engine.url}/health`)).status, 503)
    assert.equal((await fetch(`${engine.url}/v1/models`)).status, 200)
  })

  test('health can hang: the connection is accepted and nothing comes', async () => {
    const engine = await start({ faults: { health: 'hang' } })
    const socket = createConnection(engine.port, '127.0.0.1')
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
    await engine.until(({ requests }) => requests === 1)
    assert.equal((await fetch(`${engine.url}/v1/models`)).status, 200)
    assert.equal(socket.bytesRead, 0)
    socket.destroy()
  })

  test('a stuck engine answers health, takes the request, and gives no token', async () => {
    const engine = await start({ faults: { tokens: 'never' } })
    const leave = new AbortController()
    const answer = await post(engine, '/v1/chat/completions', chat({ stream: true }), leave.signal)
    assert.equal(answer.status, 200)
    assert.equal((await fetch(`${engine.url}/health`)).status, 200)
    assert.deepEqual([engine.counts().running, engine.counts().generationTokens], [1, 0])
    leave.abort()
    await engine.until(({ abort }) => abort === 1)
  })

  test('a stuck engine that recovers finishes what it had taken', async () => {
    const engine = await start({ faults: { tokens: 'never' } })
    const answer = await stream(engine)
    engine.setFaults({})
    assert.equal(events(await answer.text()).last, '[DONE]')
  })

  test('a stream can be cut by a reset after exactly n chunks', async () => {
    const engine = await start({ faults: { cutAfterChunks: 3 } })
    const { text, broke } = await readAll(await stream(engine))
    assert.equal(broke, true)
    assert.equal(events(text).json.length, 3)
    assert.equal((await engine.until(({ error }) => error === 1)).running, 0)
  })

  test('a plain answer can be cut half way', async () => {
    const engine = await start({ faults: { cutAfterChunks: 1 } })
    const { broke } = await readAll(await post(engine, '/v1/chat/completions', chat()))
    assert.equal(broke, true)
  })

  test('an error chunk is followed by [DONE] and a clean end, as when a real core dies', async () => {
    const engine = await start({ faults: { errorAfterChunks: 2 } })
    const { text, broke } = await readAll(await stream(engine))
    assert.equal(broke, false)
    const real = events(recorded('core_killed_mid_stream').body)
    assert.deepEqual(events(text).json.at(-1), real.json.at(-1))
    assert.equal(events(text).last, '[DONE]')
    assert.equal(events(text).json.length, 3)
  })

  test('a slow body comes byte by byte, whole in the end', async () => {
    const engine = await start({ faults: { slowMsPerByte: 1 } })
    let pieces = 0
    let text = ''
    const answer = await fetch(`${engine.url}/version`)
    for await (const piece of answer.body ?? []) {
      pieces += 1
      text += Buffer.from(piece).toString()
    }
    assert.deepEqual(JSON.parse(text), { version: '0.32.0' })
    assert.ok(pieces > 3)
    const { text: sse } = await readAll(
      await post(engine, '/v1/completions', { model: 'tiny', prompt: 'x', stream: true, max_tokens: 1 }),
    )
    assert.equal(events(sse).last, '[DONE]')
  })

  test('the engine dies after n requests: later streams break with the error, then the port is refused', async () => {
    const engine = await start({ ...endless, faults: { dieAfterRequests: 1 } })
    const long = await post(engine, '/v1/chat/completions', chat({ stream: true, max_tokens: 9999 }))
    const short = await post(engine, '/v1/completions', { model: 'tiny', prompt: 'x', max_tokens: 1 })
    assert.equal(short.status, 200)
    assert.equal(await engine.died, 0)
    const { text } = await readAll(long)
    assert.match(text, /"error".*InternalServerError/)
    await assert.rejects(fetch(`${engine.url}/health`))
    engines.pop()
  })

  test('faults can be changed while it runs, from inside and over HTTP', async () => {
    const engine = await start()
    engine.setFaults({ health: 'unavailable' })
    assert.equal((await fetch(`${engine.url}/health`)).status, 503)
    const faults: SimFaults = {}
    assert.deepEqual(await (await post(engine, '/sim/faults', faults)).json(), {})
    assert.equal((await fetch(`${engine.url}/health`)).status, 200)
  })

  test('a start that leaves at once says its code and never listens', async () => {
    const lines: string[] = []
    const log = (text: string) => void lines.push(text)
    await assert.rejects(start({ log, faults: { exitCode: 7 } }), new SimExit(7))
    assert.deepEqual(lines, [])
  })

  test('a start that hangs in a phase prints that phase and nothing after it, until it is stopped', async () => {
    const lines: string[] = []
    const stop = new AbortController()
    const log = (text: string) => {
      lines.push(text)
      if (text.includes('Starting to load model')) stop.abort(new SimExit(0))
    }
    const starting = startSimEngine({ log, faults: { hangInPhase: 'weights_load' } }, stop.signal)
    await assert.rejects(starting, new SimExit(0))
    assert.ok(!lines.join('').includes('KV cache'))
  })

  test('a port that is taken fails the start the way the real engine fails', async () => {
    const lines: string[] = []
    const { port } = await start()
    await assert.rejects(start({ port, log: (text) => void lines.push(text) }), new SimExit(1))
    assert.match(lines.join(''), /OSError: \[Errno 98\] Address already in use/)
  })
})
