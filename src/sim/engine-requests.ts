import type { IncomingMessage } from 'node:http'
import { type AnswerKind, refuseContentType, refuseModel, refuseRequest, refuseSchema } from './engine-answers.ts'
import type { SimSettings } from './engine-options.ts'

/** A request for text after every check that the real engine makes. */
export interface GenerationAsk {
  kind: AnswerKind
  model: string
  prompt: string
  promptTokens: number
  maxTokens: number
  stream: boolean
  includeUsage: boolean
  continuousUsage: boolean
}

export interface EmbeddingAsk {
  model: string
  texts: string[]
  promptTokens: number
  dimensions: number
  base64: boolean
}

type Json = Record<string, unknown>

const bodyBytesMax = 64 * 1024 * 1024
/** Guess: as many as a small embedding model has. */
const dimensionsDefault = 64

export async function readJson(request: IncomingMessage): Promise<Json> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > bodyBytesMax) throw refuseSchema('too_long', 'body', 'Body too large', bytes)
    pieces.push(piece)
  }
  if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')) throw refuseContentType
  if (bytes === 0) throw refuseSchema('missing', 'body', 'Field required', null)
  const body = parse(Buffer.concat(pieces).toString('utf8'))
  if (body && typeof body === 'object' && !Array.isArray(body)) return body as Json
  const msg = 'Input should be a valid dictionary or object to extract fields from'
  throw refuseSchema('model_attributes_type', 'body', msg, body)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const at = /position (\d+)/.exec(String(error))?.[1] ?? String(text.length)
    const context = `, 'ctx': {'error': "Expecting ',' delimiter"}`
    throw refuseSchema('json_invalid', `body.${at}`, 'JSON decode error', {}, context)
  }
}

/** What the schema calls the wrong kind of a value; a text that cannot be read as one is told apart. */
const kinds = {
  list: ['list_type', 'Input should be a valid list'],
  string: ['string_type', 'Input should be a valid string'],
  integer: ['int_type', 'Input should be a valid integer'],
  integerText: ['int_parsing', 'Input should be a valid integer, unable to parse string as an integer'],
  boolean: ['bool_parsing', 'Input should be a valid boolean, unable to interpret input'],
} as const

function wantType(ok: boolean, kind: keyof typeof kinds, field: string, body: Json) {
  if (ok) return
  const value = body[field]
  if (value === undefined) throw refuseSchema('missing', `body.${field}`, 'Field required', body)
  const [type, msg] = kinds[kind === 'integer' && typeof value === 'string' ? 'integerText' : kind]
  throw refuseSchema(type, `body.${field}`, msg, value)
}

function wantModel(body: Json, settings: SimSettings): string {
  const names = settings.servedModelNames
  const model = body.model ?? names[0]
  wantType(typeof model === 'string', 'string', 'model', body)
  if (!names.includes(model as string)) throw refuseModel(model as string, names)
  return model as string
}

export function countWords(text: string): number {
  let words = 0
  let inWord = false
  for (let i = 0; i < text.length; i++) {
    const space = text.charCodeAt(i) <= 32
    if (!space && !inWord) words += 1
    inWord = !space
  }
  return words
}

function chatText(messages: readonly unknown[]): string {
  const texts: string[] = []
  for (const message of messages) {
    const content = message && typeof message === 'object' ? (message as Json).content : undefined
    if (typeof content === 'string') texts.push(content)
    if (!Array.isArray(content)) continue
    for (const part of content) if (typeof part?.text === 'string') texts.push(part.text)
  }
  return texts.join('\n')
}

function promptOf(kind: AnswerKind, body: Json): { prompt: string; tokens: number } {
  if (kind === 'chat') {
    const { messages } = body
    wantType(Array.isArray(messages), 'list', 'messages', body)
    const prompt = chatText(messages as unknown[])
    return { prompt, tokens: countWords(prompt) }
  }
  const { prompt } = body
  if (prompt === undefined || prompt === null || prompt === '') {
    throw refuseRequest('Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)', 'prompt')
  }
  wantType(typeof prompt === 'string' || Array.isArray(prompt), 'string', 'prompt', body)
  if (typeof prompt === 'string') return { prompt, tokens: countWords(prompt) }
  // A list of numbers is already tokens: each of them counts as one.
  const parts = (prompt as unknown[]).flat()
  const text = parts.join(' ')
  return { prompt: text, tokens: countWords(text) }
}

/** The engine refuses what can never fit, and cuts what only this prompt leaves no room for. */
function maxTokensOf(body: Json, promptTokens: number, settings: SimSettings): number {
  const field = body.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens'
  const asked = body[field] ?? 16
  wantType(Number.isInteger(asked), 'integer', field, body)
  const maxTokens = asked as number
  const limit = settings.maxModelLen
  const named = `(parameter=max_tokens, value=${maxTokens})`
  if (maxTokens < 1) throw refuseRequest(`max_tokens must be at least 1, got ${maxTokens}. ${named}`, 'max_tokens')
  if (maxTokens > limit) {
    throw refuseRequest(
      `max_tokens=${maxTokens} cannot be greater than max_model_len=${limit}. Please request fewer output tokens. ${named}`,
      'max_tokens',
    )
  }
  if (promptTokens >= limit) {
    throw refuseRequest(
      `This model's maximum context length is ${limit} tokens. However, your prompt contains at least ${promptTokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=${promptTokens})`,
      'input_tokens',
    )
  }
  return Math.min(maxTokens, limit - promptTokens)
}

export function readGeneration(kind: AnswerKind, body: Json, settings: SimSettings): GenerationAsk {
  const { prompt, tokens } = promptOf(kind, body)
  const model = wantModel(body, settings)
  const promptTokens = Math.max(1, tokens)
  const stream = body.stream ?? false
  wantType(typeof stream === 'boolean', 'boolean', 'stream', body)
  const wishes = (body.stream_options ?? {}) as Json
  return {
    kind,
    model,
    prompt,
    promptTokens,
    maxTokens: maxTokensOf(body, promptTokens, settings),
    stream: stream as boolean,
    includeUsage: wishes.include_usage === true,
    continuousUsage: wishes.continuous_usage_stats === true,
  }
}

export function readEmbedding(body: Json, settings: SimSettings): EmbeddingAsk {
  const { input } = body
  wantType(typeof input === 'string' || Array.isArray(input), 'list', 'input', body)
  const model = wantModel(body, settings)
  const flat = Array.isArray(input) && typeof input[0] === 'number'
  const texts = (Array.isArray(input) && !flat ? input : [input]).map((text) =>
    Array.isArray(text) ? text.join(' ') : String(text),
  )
  return {
    model,
    texts,
    promptTokens: texts.reduce((sum, text) => sum + Math.max(1, countWords(text)), 0),
    dimensions: typeof body.dimensions === 'number' ? body.dimensions : dimensionsDefault,
    base64: body.encoding_format === 'base64',
  }
}
