import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { afterEach, beforeAll, describe, test } from 'vitest'
import { answerJson, chunk, doneEvent, lastChunk, streamHead, tokenEvent } from './fake-node.ts'
import { type Answer, apiKey, lanes, routed, tiedKey, World } from './fake-world.ts'

describe.each(['short', 'node:http'] as const)('requests read by the %s lane', (lane) => {
  beforeAll(() => {
    lanes.current = lane
  })
  let world: World
  afterEach(() => world.end())

  const hello = { model: 'm', messages: [] }

  function refusedAs(answer: Answer, status: number, code: string) {
    assert.equal(answer.status, status, answer.body)
    const { error } = JSON.parse(answer.body)
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code'])
    assert.equal(error.code, code)
    assert.match(String(answer.headers['x-request-id']), /^[\w.:-]+$/)
    return error
  }

  test('keys: absent and wrong ones are 401, one tied to other models 403, an unknown model 404', async () => {
    world = await World.start()
    await world.node('n1', ({ socket }) => answerJson(socket, {}))
    for (const authorization of ['', 'Bearer nonsense', `Bearer ${apiKey}x`, `Basic ${apiKey}`, 'Bearer fd_node_x'])
      assert.match(
        refusedAs(await world.post(hello, { headers: { authorization } }), 401, 'invalid_api_key').message,
        authorization === '' ? /send `Authorization: Bearer fd_key_/ : /Ask an operator for a new one/,
      )
    const tied = { authorization: `Bearer ${tiedKey}` }
    const { message } = refusedAs(await world.post(hello, { headers: tied }), 403, 'model_forbidden')
    assert.match(message, /may not use the model `m`; ask for a key that may/)
    assert.equal(refusedAs(await world.post({ ...hello, model: 'nope' }), 404, 'model_not_found').param, 'model')
    assert.equal((await world.post(hello)).status, 200)
    world.control.change({ keys: [] })
    while ((await world.post(hello)).status !== 401);
  })

  test('a model that no node serves now is 503, and the client is told when to return', async () => {
    world = await World.start([routed('n1'), routed('n2', { routable: false }), routed('n3', { order: 'drain' })])
    await world.node('n2', ({ socket }) => answerJson(socket, {}))
    await world.node('n3', ({ socket }) => answerJson(socket, {}))
    const answer = await world.post(hello)
    refusedAs(answer, 503, 'no_node')
    assert.ok(Number(answer.headers['retry-after']) <= 60)
  })

  test('bodies: no JSON object, no model and too many bytes are refused', async () => {
    world = await World.start([routed('n1')], { maxBodyBytes: 1_000 })
    await world.node('n1', ({ socket }) => answerJson(socket, {}))
    for (const body of ['', '[]', '{"model":"m"', 'model=m', '{"model":"m"} {}'])
      refusedAs(await world.post(body), 400, 'invalid_body')
    for (const body of [{}, { model: 1 }, { model: null }, { model: '' }])
      assert.equal(refusedAs(await world.post(body), 400, 'invalid_body').param, 'model')
    refusedAs(await world.post({ ...hello, pad: 'x'.repeat(2_000) }), 413, 'request_too_large')
    assert.equal((await world.post({ ...hello, pad: 'x'.repeat(900) })).status, 200)
  })

  test('a body that grows past the limit without saying so first is refused as well', async () => {
    world = await World.start([routed('n1')], { maxBodyBytes: 1_000 })
    const client = connect(world.port, '127.0.0.1')
    client.write(
      `POST /v1/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${apiKey}\r\ntransfer-encoding: chunked\r\n\r\n` +
        `7d0\r\n${'x'.repeat(2_000)}\r\n`,
    )
    const said = await new Promise<string>((resolve) =>
      client.once('data', (bytes: Buffer) => resolve(bytes.toString())),
    )
    assert.match(said, /^HTTP\/1\.1 413 /)
    client.destroy()
  })

  test('the model list holds what the key may use', async () => {
    world = await World.start()
    const all = JSON.parse((await world.get('/v1/models')).body)
    assert.deepEqual(
      all.data.map((card: { id: string }) => card.id),
      ['m', 'other'],
    )
    assert.deepEqual(all.data[0], { id: 'm', object: 'model', created: 1, owned_by: 'flightdeck' })
    const tied = { authorization: `Bearer ${tiedKey}` }
    assert.deepEqual(JSON.parse((await world.get('/v1/models', tied)).body).data.length, 1)
    assert.equal(JSON.parse((await world.get('/v1/models/other', tied)).body).id, 'other')
    refusedAs(await world.get('/v1/models/m', tied), 404, 'model_not_found')
    refusedAs(await world.get('/v1/models', { authorization: '' }), 401, 'invalid_api_key')
  })

  test('everything else is 404, other methods and paths of the engine included', async () => {
    world = await World.start()
    const node = await world.node('n1', ({ socket }) => answerJson(socket, {}))
    for (const path of [
      '/',
      '/v1/responses',
      '/tokenize',
      '/v1/chat/completions/',
      '//v1/completions',
      '/flightdeck/nudge',
      '/v1/../metrics',
    ])
      refusedAs(await world.post(hello, { path }), 404, 'unknown_url')
    refusedAs(await world.get('/v1/chat/completions'), 404, 'unknown_url')
    assert.equal(node.generations.length, 0)
  })

  test('health and metrics answer by themselves, and hold no secret and no word of a client', async () => {
    world = await World.start()
    await world.node('n1', ({ socket }) => answerJson(socket, { usage: { prompt_tokens: 3, completion_tokens: 4 } }))
    assert.equal(JSON.parse((await world.get('/health')).body).status, 'ok')
    await world.post(hello)
    await world.post({ ...hello, model: 'made-up-by-a-client' })
    const page = (await world.get('/metrics')).body
    assert.match(page, /^flightdeck_gateway_requests_total\{model="m",outcome="ok"\} 1$/m)
    assert.match(page, /^flightdeck_gateway_tokens_total\{model="m",kind="completion"\} 4$/m)
    assert.match(page, /^flightdeck_gateway_refusals_total\{status="404"\} 1$/m)
    assert.match(page, /^flightdeck_gateway_request_seconds_count 1$/m)
    assert.match(page, /^flightdeck_gateway_control_up 1$/m)
    for (const secret of ['made-up', 'fd_key_', 'fd_node_']) assert.ok(!page.includes(secret))
  })

  test.for([
    [400, 'application/json', '{"object":"error","message":"no such field","code":400}', null],
    [401, 'application/json', '{"error":"Unauthorized"}', null],
    [404, 'application/json', '{"detail":"Not Found"}', null],
    [413, 'text/html', '<html><h1>413 Request Entity Too Large</h1></html>', null],
    [422, 'application/json', '{"detail":[{"loc":["body","n"],"msg":"must be positive"}]}', null],
    [429, 'application/json', '{"error":{"message":"slow down","type":"x","param":null,"code":null}}', '7'],
    [500, 'text/html', '<html>Traceback (most recent call last)</html>', null],
    [503, 'text/html', '<html>Service Unavailable</html>', '5'],
    [500, 'text/plain', '', null],
  ] as const)('an engine that answers %i as %s is passed on in the one shape', async ([status, type, body, wait]) => {
    world = await World.start()
    await world.node('n1', ({ socket }) => {
      const retry = wait === null ? '' : `retry-after: ${wait}\r\n`
      const head = `content-type: ${type}\r\nserver: uvicorn\r\n${retry}content-length: ${body.length}`
      socket.write(`HTTP/1.1 ${status} Said\r\n${head}\r\n\r\n${body}`)
    })
    const answer = await world.post(hello, { headers: { 'x-request-id': 'asked-1' } })
    assert.equal(answer.status, status, answer.body)
    assert.match(String(answer.headers['content-type']), /^application\/json/)
    assert.deepEqual(
      [answer.headers['x-request-id'], answer.headers['retry-after'] ?? null, answer.headers['server']],
      ['asked-1', wait, undefined],
    )
    const { error } = JSON.parse(answer.body)
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code'])
    assert.ok(error.message.length > 5)
    assert.doesNotMatch(answer.body, /html|Traceback/)
  })

  test('figures are for this machine, and from elsewhere for who shows the token of the gateways', async () => {
    world = await World.start()
    await world.node('n1', ({ socket }) => answerJson(socket, {}))
    const handedOn = { 'x-forwarded-for': '203.0.113.7' }
    for (const path of ['/metrics', '/metrics/nodes', '/metrics/nodes/fd-test-n1'])
      refusedAs(await world.get(path, handedOn), 401, 'metrics_kept')
    const token = { authorization: 'Bearer fd_gw_token-of-the-test' }
    assert.equal((await world.get('/metrics', { ...handedOn, ...token })).status, 200)
    assert.equal((await world.get('/metrics/nodes/fd-test-n1', { ...handedOn, ...token })).status, 200)
    refusedAs(await world.get('/metrics/nodes/fd-test-nobody'), 404, 'unknown_url')
    for (const node of world.nodes) node.close()
    const gone = await world.get('/metrics/nodes/fd-test-n1')
    assert.equal(gone.status, 502)
  })

  test('nodes that can be asked for their figures are listed as Prometheus discovers them', async () => {
    world = await World.start([routed('n1'), routed('n2')])
    const listed = async () => JSON.parse((await world.get('/metrics/nodes')).body)
    assert.deepEqual(await listed(), [])
    await world.node('n1', ({ socket }) => answerJson(socket, {}))
    const labels = { node: 'fd-test-n1', __metrics_path__: '/metrics/nodes/fd-test-n1' }
    assert.deepEqual(await listed(), [{ targets: [`127.0.0.1:${world.port}`], labels }])
  })

  test('a node is told as routable while the table wants requests to go to it, with or without a socket', async () => {
    world = await World.start([routed('n1'), routed('n2', { order: 'drain' })])
    const node = await world.node('n1', ({ socket }) => answerJson(socket, {}))
    const figure = async (name: string, id: string) =>
      new RegExp(`^flightdeck_gateway_${name}\\{node="fd-test-${id}"\\} (\\d+)$`, 'm').exec(
        (await world.get('/metrics')).body,
      )?.[1]
    assert.deepEqual([await figure('routable', 'n1'), await figure('routable', 'n2')], ['1', '0'])
    assert.equal(await figure('waiting', 'n1'), '0')
    node.close()
    while ((await figure('spare_sockets', 'n1')) !== '0');
    assert.equal(await figure('routable', 'n1'), '1')
  })

  test('two requests in one packet are answered in their order, each with its own bytes', async () => {
    world = await World.start()
    const node = await world.node('n1', (request) => {
      const { n } = JSON.parse(request.body)
      // node:http asks for both at once, and then the second is answered first. The short lane asks in turn.
      if (n === 2 || lane === 'short') answerJson(request.socket, { n })
      else void node.until(({ generations }) => generations.length === 2).then(() => answerJson(request.socket, { n }))
    })
    await node.dial()
    const client = connect(world.port, '127.0.0.1')
    const request = (n: number) => {
      const body = JSON.stringify({ ...hello, n })
      const odd = lane === 'short' ? '' : 'te: trailers\r\n'
      return `POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n${odd}authorization: Bearer ${apiKey}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    }
    client.write(request(1) + request(2))
    let said = ''
    await new Promise<void>((resolve) =>
      client.on('data', (bytes: Buffer) => {
        said += bytes.toString()
        if (said.includes('{"n":1}') && said.includes('{"n":2}')) resolve()
      }),
    )
    assert.ok(said.indexOf('{"n":1}') < said.indexOf('{"n":2}'))
    client.destroy()
  })

  test('a client of HTTP/1.0 gets a stream that ends with its connection', async () => {
    world = await World.start()
    await world.node('n1', ({ socket }) =>
      socket.write(streamHead + chunk(tokenEvent('one')) + chunk(doneEvent) + lastChunk),
    )
    const client = connect(world.port, '127.0.0.1')
    const body = JSON.stringify({ ...hello, stream: true })
    client.write(
      `POST /v1/completions HTTP/1.0\r\nauthorization: Bearer ${apiKey}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    let said = ''
    client.on('data', (bytes: Buffer) => {
      said += bytes.toString()
    })
    await new Promise((resolve) => client.on('close', resolve))
    assert.equal(said.slice(said.indexOf('\r\n\r\n') + 4), tokenEvent('one') + doneEvent)
  })

  test('an offer of another protocol on an ordinary request is not taken, and the request is served', async () => {
    world = await World.start()
    await world.node('n1', ({ socket }) => answerJson(socket, { fine: true }))
    const answer = await world.post(hello, { headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c' } })
    assert.equal(answer.body, '{"fine":true}')
  })
})
