/** The JSON of vLLM 0.32.0, field by field, null by null, as it was recorded from the real engine. */

export const fingerprint = 'vllm-0.32.0-51000000'
export const version = '0.32.0'

export type FinishReason = 'stop' | 'length'
export type AnswerKind = 'chat' | 'completion'

export interface AnswerHead {
  kind: AnswerKind
  id: string
  created: number
  model: string
  promptTokens: number
}

const syllables = ['ba', 'co', 'di', 'fu', 'ga', 'ho', 'ki', 'lu', 'ma', 'no', 'pi', 'ru', 'sa', 'to', 'vi', 'zu']

/** One nonsense word; the same seed and index give the same word on every machine. */
export function tokenText(seed: number, index: number): string {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  hash ^= hash >>> 12
  const word = `${syllables[hash & 15]}${syllables[(hash >>> 4) & 15]}${hash & 256 ? syllables[(hash >>> 9) & 15] : ''}`
  return index === 0 ? word : ` ${word}`
}

export function hashText(text: string, seed: number): number {
  let hash = seed | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

function usage(promptTokens: number, completionTokens: number) {
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
  }
}

export function plainAnswer(head: AnswerHead, text: string, reason: FinishReason, tokens: number) {
  const ends = { finish_reason: reason, stop_reason: null, token_ids: null }
  const message = {
    role: 'assistant',
    content: text,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    reasoning: null,
  }
  const chat = head.kind === 'chat'
  return {
    id: head.id,
    object: chat ? 'chat.completion' : 'text_completion',
    created: head.created,
    model: head.model,
    choices: [
      chat
        ? { index: 0, message, logprobs: null, ...ends, routed_experts: null }
        : {
            index: 0,
            text,
            logprobs: null,
            ...ends,
            prompt_logprobs: null,
            prompt_token_ids: null,
            routed_experts: null,
          },
    ],
    service_tier: null,
    system_fingerprint: fingerprint,
    usage: { ...usage(head.promptTokens, tokens), prompt_tokens_details: null, completion_tokens_details: null },
    ...(chat ? { prompt_logprobs: null, prompt_token_ids: null, prompt_text: null } : {}),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  }
}

export interface StreamShape {
  /** The first chunk of a chat, which carries the role; a completion has none. */
  role: string
  token(text: string, reason: FinishReason | null, tokensSoFar: number): string
  /** The last chunk before `[DONE]`, only where it was asked for. */
  usage(tokens: number): string
}

export interface StreamWishes {
  includeUsage: boolean
  continuousUsage: boolean
}

/** Chunks of one stream. Only the words differ from chunk to chunk, so the rest is made once. */
export function streamShape(head: AnswerHead, wishes: StreamWishes): StreamShape {
  const chat = head.kind === 'chat'
  const object = chat ? 'chat.completion.chunk' : 'text_completion'
  const start = `data: {"id":"${head.id}","object":"${object}","created":${head.created},"model":${JSON.stringify(head.model)},"choices":[`
  const before = chat ? `${start}{"index":0,"delta":{"content":"` : `${start}{"index":0,"text":"`
  const after = chat ? '"},"logprobs":null,"finish_reason":' : '","logprobs":null,"finish_reason":'
  const middle = chat ? ',"token_ids":null}]' : ',"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]'
  const last = chat ? ',"stop_reason":null,"token_ids":null}]' : middle
  const sealed = wishes.includeUsage ? '' : `,"system_fingerprint":"${fingerprint}"`
  const details = chat ? { completion_tokens_details: null } : {}
  const soFar = (tokens: number) =>
    wishes.continuousUsage ? `,"usage":${JSON.stringify({ ...usage(head.promptTokens, tokens), ...details })}` : ''
  const role = `${start}{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]${soFar(0)},"prompt_token_ids":null,"prompt_text":null}\n\n`
  return {
    role: chat ? role : '',
    token: (text, reason, tokens) =>
      reason === null
        ? `${before}${text}${after}null${middle}${soFar(tokens)}}\n\n`
        : `${before}${text}${after}"${reason}"${last}${soFar(tokens)}${sealed}}\n\n`,
    usage: (tokens) =>
      `${start}],"usage":${JSON.stringify(usage(head.promptTokens, tokens))},"system_fingerprint":"${fingerprint}"}\n\n`,
  }
}

export const deadEngineChunk =
  'data: {"error": {"message": "EngineCore encountered an issue. See stack trace (above) for the root cause.", "type": "InternalServerError", "param": null, "code": 500}}\n\ndata: [DONE]\n\n'

export function modelCard(name: string, root: string, maxModelLen: number, created: number) {
  const permission = {
    id: `modelperm-${(hashText(name, 7) >>> 0).toString(16).padStart(16, '0')}`,
    object: 'model_permission',
    created,
    allow_create_engine: false,
    allow_sampling: true,
    allow_logprobs: true,
    allow_search_indices: false,
    allow_view: true,
    allow_fine_tuning: false,
    organization: '*',
    group: null,
    is_blocking: false,
  }
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'vllm',
    root,
    parent: null,
    max_model_len: maxModelLen,
    permission: [permission],
  }
}

/** A vector that depends on the text alone, scaled to length one. */
function vector(text: string, dimensions: number): number[] {
  const raw = Array.from({ length: dimensions }, (_, i) => (hashText(`${i}:${text}`, 11) & 0xffff) / 0x8000 - 1)
  const length = Math.hypot(...raw) || 1
  return raw.map((value) => value / length)
}

export interface EmbeddingWishes {
  id: string
  created: number
  model: string
  dimensions: number
  base64: boolean
}

export function embeddingAnswer(texts: readonly string[], promptTokens: number, wishes: EmbeddingWishes) {
  const data = texts.map((text, index) => {
    const values = vector(text, wishes.dimensions)
    const embedding = wishes.base64 ? Buffer.from(new Float32Array(values).buffer).toString('base64') : values
    return { index, object: 'embedding', embedding }
  })
  return {
    id: wishes.id,
    object: 'list',
    created: wishes.created,
    model: wishes.model,
    data,
    usage: {
      prompt_tokens: promptTokens,
      total_tokens: promptTokens,
      completion_tokens: 0,
      prompt_tokens_details: null,
    },
  }
}

/** A refusal in one of the engine's three shapes; `body` goes out as it is. */
export class SimRefusal extends Error {
  readonly status: number
  readonly body: object

  constructor(status: number, body: object) {
    super(`refused with ${status}`)
    this.status = status
    this.body = body
  }
}

export function refuseRequest(message: string, param: string | null): SimRefusal {
  return new SimRefusal(400, { error: { message, type: 'BadRequestError', param, code: 400 } })
}

/** The schema's own refusals have another `type` and speak Python. */
export function refuseSchema(kind: string, loc: string, msg: string, input: unknown, context = ''): SimRefusal {
  return refuseSchemaText(
    `{'type': '${kind}', 'loc': '${loc}', 'msg': '${msg}', 'input': '${repr(input)}'${context}}`,
    loc,
  )
}

function refuseSchemaText(text: string, param: string | null): SimRefusal {
  const message = `1 validation error:\n  ${text}`
  return new SimRefusal(400, { error: { message, type: 'Bad Request', param, code: 400 } })
}

function repr(value: unknown): string {
  if (Array.isArray(value)) return `<list of ${value.length} items>`
  if (value && typeof value === 'object') return `<dict of ${Object.keys(value).length} items>`
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return String(value)
}

export const refuseContentType = refuseSchemaText("Unsupported Media Type: Only 'application/json' is allowed", null)

export function refuseModel(asked: string, names: readonly string[]): SimRefusal {
  const message = `The model \`${asked}\` does not exist. Valid aliases: ${names.join(', ')}.`
  return new SimRefusal(404, { error: { message, type: 'NotFoundError', param: 'model', code: 404 } })
}

export const notFound = new SimRefusal(404, { detail: 'Not Found' })
export const wrongMethod = new SimRefusal(405, { detail: 'Method Not Allowed' })
