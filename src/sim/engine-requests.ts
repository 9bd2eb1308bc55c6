import type { IncomingMessage } from 'node:http'
import { type AnswerKind, refuseModel, refuseRequest, refuseSchema } from './engine-answers.ts'
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
    if (bytes > bodyBytesMax) throw refuseSchema('too_long', 'body', 'Body too large', `'input': '${bytes} bytes'`)
    pieces.push(piece)
  }
  const text = Buffer.concat(pieces).toString('utf8')
  try {
    const body: unknown = JSON.parse(text)
    if (body && typeof body === 'object' && !Array.isArray(body)) return body as Json
  } catch (error) {
    const at = /position (\d+)/.exec(String(error))?.[1] ?? String(text.length)
    throw refuseSchema(
      'json_invalid',
      `body.${at}`,
      'JSON decode error',
      `'input': '<dict of 0 items>', 'ctx': {'error': "Expecting ',' delimiter"}`,
    )
  }
  throw refuseSchema('model_attributes_type', 'body', 'Input should be a valid dictionary', `'input': ${repr(text)}`)
}

function repr(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'object') return `'<dict of ${Object.keys(value).length} items>'`
  return String(value)
}

function wantType(ok: boolean, kind: string, field: string, msg: string, value: unknown) {
  if (ok) return
  if (value === undefined) throw refuseSchema('missing', `body.${field}`, 'Field required', `'input': ${repr({})}`)
  throw refuseSchema(kind, `body.${field}`, msg, `'input': ${repr(value)}`)
}

function wantModel(body: Json, settings: SimSettings): string {
  const model = body.model ?? settings.servedModelNames[0]
  wantType(typeof model === 'string', 'string_type', 'model', 'Input should be a valid string', model)
  const names = settings.servedModelNames
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
    wantType(Array.isArray(messages), 'list_type', 'messages', 'Input should be a valid list', messages)
    const prompt = chatText(messages as unknown[])
    return { prompt, tokens: countWords(prompt) }
  }
  const { prompt } = body
  const fine = typeof prompt === 'string' || Array.isArray(prompt)
  wantType(fine, 'string_type', 'prompt', 'Input should be a valid string', prompt)
  if (typeof prompt === 'string') return { prompt, tokens: countWords(prompt) }
  // A list of numbers is already tokens: each of them counts as one.
  const parts = (prompt as unknown[]).flat()
  const text = parts.join(' ')
  return { prompt: text, tokens: countWords(text) }
}

function maxTokensOf(body: Json, promptTokens: number, settings: SimSettings): number {
  const field = body.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens'
  const asked = body[field] ?? Math.min(16, settings.maxModelLen - promptTokens)
  wantType(Number.isInteger(asked), 'int_type', field, 'Input should be a valid integer', asked)
  const maxTokens = asked as number
  const limit = settings.maxModelLen
  if (promptTokens > limit - 1) {
    throw refuseRequest(
      `This model's maximum context length is ${limit} tokens. However, your prompt contains ${promptTokens} input tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=${promptTokens})`,
      'input_tokens',
    )
  }
  if (maxTokens < 1) throw refuseRequest(`max_tokens must be at least 1, got ${maxTokens}.`, 'max_tokens')
  if (maxTokens > limit) {
    throw refuseRequest(
      `max_tokens=${maxTokens} cannot be greater than max_model_len=${limit}. Please request fewer output tokens. (parameter=max_tokens, value=${maxTokens})`,
      'max_tokens',
    )
  }
  if (promptTokens + maxTokens > limit) {
    throw refuseRequest(
      `This model's maximum context length is ${limit} tokens. However, you requested ${maxTokens} output tokens and your prompt contains ${promptTokens} input tokens, for a total of ${promptTokens + maxTokens} tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=${promptTokens})`,
      'input_tokens',
    )
  }
  return maxTokens
}

export function readGeneration(kind: AnswerKind, body: Json, settings: SimSettings): GenerationAsk {
  const { prompt, tokens } = promptOf(kind, body)
  const model = wantModel(body, settings)
  const promptTokens = Math.max(1, tokens)
  const stream = body.stream ?? false
  wantType(typeof stream === 'boolean', 'bool_type', 'stream', 'Input should be a valid boolean', stream)
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
  const fine = typeof input === 'string' || Array.isArray(input)
  wantType(fine, 'list_type', 'input', 'Input should be a valid list', input)
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
