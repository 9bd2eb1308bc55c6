import { type Refusal, refusals } from './openai-error.ts'
import { parseSpan, type ScannedBody, type Span, scanBody, stringAt } from './scan.ts'

/** What a request's body asks for. */
export interface Wish {
  readonly model: string
  readonly streams: boolean
  readonly scanned: ScannedBody
}

export function readBody(bytes: Buffer): Wish | Refusal {
  const scanned = scanBody(bytes)
  if (!scanned) return refusals.badBody('The body must be one JSON object.')
  const model = scanned.model === null ? undefined : stringAt(bytes, scanned.model)
  if (model === undefined || model === '')
    return refusals.badBody('You must name a model: `model` must be a string.', 'model')
  return { model, streams: isTrue(bytes, scanned.stream), scanned }
}

/** Only the word itself; what an engine makes of a 1 or a "yes" it tells by the type of its answer. */
function isTrue(bytes: Buffer, span: Span | null): boolean {
  return span !== null && span.to - span.from === 4 && bytes.toString('latin1', span.from, span.to) === 'true'
}

/**
 * The body with `stream_options.include_usage` set, every other byte as it came; null when the client asked for it
 * itself, or asked for something that the engine should refuse.
 */
export function usageAsked(bytes: Buffer, scanned: ScannedBody): Buffer | null {
  const span = scanned.streamOptions
  if (span === null) return spliced(bytes, scanned.inside, scanned.inside, '"stream_options":{"include_usage":true},')
  const options = parseSpan(bytes, span)
  if (options === null) return spliced(bytes, span.from, span.to, '{"include_usage":true}')
  if (typeof options !== 'object' || Array.isArray(options)) return null
  if ((options as { include_usage?: unknown }).include_usage === true) return null
  return spliced(bytes, span.from, span.to, JSON.stringify({ ...options, include_usage: true }))
}

const spliced = (bytes: Buffer, from: number, to: number, by: string): Buffer =>
  Buffer.concat([bytes.subarray(0, from), Buffer.from(by), bytes.subarray(to)])
