import assert from 'node:assert/strict'
import { test } from 'vitest'
import { normalisedError, normalisedStreamError, refusals } from './openai-error.ts'

const chat = '/v1/chat/completions'
const keys = ['message', 'type', 'param', 'code']

test("every shape in which engines tell of an error becomes OpenAI's", () => {
  const cases: [number, string, Record<string, unknown>][] = [
    [
      404,
      '{"error":{"message":"The model `nope` does not exist.","type":"NotFoundError","param":"model","code":404}}',
      {
        message: 'The model `nope` does not exist.',
        type: 'invalid_request_error',
        param: 'model',
        code: 'model_not_found',
      },
    ],
    [
      400,
      '{"error":{"message":"max_tokens=5000 cannot be greater than max_model_len=1024.","type":"BadRequestError","param":"max_tokens","code":400}}',
      { param: 'max_tokens', code: 'context_length_exceeded' },
    ],
    [
      400,
      '{"error":{"message":"1 validation error","type":"Bad Request","param":"body.messages","code":400}}',
      { message: '1 validation error', type: 'invalid_request_error', param: 'body.messages', code: null },
    ],
    [404, '{"detail":"Not Found"}', { message: `This model does not serve ${chat}.`, code: null }],
    [401, '{"error":"Unauthorized"}', { message: 'Unauthorized', code: null }],
    [
      422,
      '{"detail":[{"loc":["body","messages"],"msg":"field required"}]}',
      { message: 'field required', param: 'messages' },
    ],
    [
      502,
      '<html><body>Bad Gateway at 10.0.0.7</body></html>',
      { message: 'The engine answered with status 502 Bad Gateway.', type: 'server_error' },
    ],
    [500, '', { message: 'The engine answered with status 500 Internal Server Error.' }],
    [503, 'null', { type: 'server_error' }],
    [500, '[1]', { type: 'server_error' }],
    [429, '{"error":{"message":"slow down","code":"429"}}', { type: 'rate_limit_error', code: 'rate_limit_exceeded' }],
    [400, '{"object":"error","message":"old shape","code":40001}', { message: 'old shape' }],
    [400, '{"error":{"message":"x","code":"own_word","param":7}}', { code: 'own_word', param: null }],
  ]
  for (const [status, body, want] of cases) {
    const error = normalisedError(status, body, chat)
    assert.deepEqual(Object.keys(error), keys, body)
    assert.ok(error.code === null || typeof error.code === 'string', body)
    for (const [name, value] of Object.entries(want)) assert.equal(error[name as keyof typeof error], value, body)
  }
})

test('an error within a stream takes its status from its number', () => {
  assert.equal(normalisedStreamError({ message: 'x', code: 400 }).type, 'invalid_request_error')
  assert.equal(normalisedStreamError({ message: 'x', code: 500 }).type, 'server_error')
  assert.equal(normalisedStreamError('text').message, 'text')
  assert.equal(normalisedStreamError(null).message, 'The engine failed.')
})

test('every refusal has the four keys, and no client is told to wait for more than a minute', () => {
  const all = [
    refusals.noKey(),
    refusals.badKey(),
    refusals.modelForbidden('m'),
    refusals.unknownModel('m'),
    refusals.noSuchPath('/x'),
    refusals.tooLarge(1),
    refusals.badBody('x'),
    refusals.noNode('m'),
    refusals.queueFull('m'),
    refusals.stopping(),
    refusals.nodeFailed('x'),
    refusals.nodeSilent(),
    refusals.notReady(),
    refusals.internal(),
  ]
  for (const { status, error, retryAfterS } of all) {
    assert.deepEqual(Object.keys(error), keys)
    assert.ok(status >= 400 && status < 600)
    assert.ok(retryAfterS === null || retryAfterS <= 60)
    assert.equal(status === 503, retryAfterS !== null)
  }
})
