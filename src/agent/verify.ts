import { completesNothing } from '../core/engine-presets.ts'
import { pause } from '../lib/clock.ts'
import { callEngine, type EngineAnswer } from './engine-call.ts'
import type { Timing } from './timing.ts'

export interface VerifyTarget {
  readonly port: number
  readonly healthPath: string
  readonly servedName: string
}

export type Verified =
  | { readonly kind: 'answered' }
  /** Healthy for long, but serving other names than ours. */
  | { readonly kind: 'unlisted'; readonly names: readonly string[] }
  | { readonly kind: 'stopped' }

export interface VerifyEvents {
  readonly onHealthy: () => void
  /** Why it is not there yet although it is healthy; for the log. */
  readonly onHindrance: (why: string) => void
}

// The first token after a cold start may wait for kernels to be built.
const firstTokenMs = 120_000

/** Health, then the model's name, then one token: health alone turns true early and stays true over a wedged GPU. */
export async function untilAnswered(
  target: VerifyTarget,
  timing: Timing,
  events: VerifyEvents,
  stop: AbortSignal,
): Promise<Verified> {
  while (!(await isHealthy(target, timing.healthTimeoutMs))) {
    if (stop.aborted) return { kind: 'stopped' }
    await pause(timing.readinessPollMs, stop)
  }
  events.onHealthy()
  const unlistedAt = performance.now() + timing.unlistedLimitMs
  while (!stop.aborted) {
    const names = await servedNames(target.port, timing.healthTimeoutMs)
    const hindrance = names?.includes(target.servedName) ? await tryOneToken(target) : 'the model is not listed yet'
    if (hindrance === null) return { kind: 'answered' }
    if (names && !names.includes(target.servedName) && performance.now() > unlistedAt)
      return { kind: 'unlisted', names }
    events.onHindrance(hindrance)
    await pause(timing.readinessPollMs * 2, stop)
  }
  return { kind: 'stopped' }
}

export async function isHealthy({ port, healthPath }: VerifyTarget, timeoutMs: number): Promise<boolean> {
  const answer = await quietCall(callEngine(port, 'GET', healthPath, timeoutMs))
  return answer?.status === 200
}

/** The engine's version where it tells it (vLLM's GET /version). */
export async function engineVersion(port: number, timeoutMs: number): Promise<string | null> {
  const answer = await quietCall(callEngine(port, 'GET', '/version', timeoutMs))
  const body = answer?.status === 200 ? parse(answer.text) : null
  const version = body?.['version']
  return typeof version === 'string' ? version.slice(0, 64) : null
}

async function servedNames(port: number, timeoutMs: number): Promise<string[] | null> {
  const answer = await quietCall(callEngine(port, 'GET', '/v1/models', timeoutMs))
  const data = answer?.status === 200 ? parse(answer.text)?.['data'] : null
  if (!Array.isArray(data)) return null
  return data.map((model: { id?: unknown } | null) => String(model?.id))
}

/** Null when the model answered, or what it said instead. */
async function tryOneToken({ port, servedName }: VerifyTarget): Promise<string | null> {
  const generate = { model: servedName, prompt: 'Hi', max_tokens: 1, temperature: 0 }
  const generated = await quietCall(callEngine(port, 'POST', '/v1/completions', firstTokenMs, generate))
  if (generated?.status === 200) return null
  if (!generated || !completesNothing(generated.status)) return told('completion', generated)
  const embed = { model: servedName, input: 'Hi' }
  const embedded = await quietCall(callEngine(port, 'POST', '/v1/embeddings', firstTokenMs, embed))
  return embedded?.status === 200 ? null : told('embedding', embedded)
}

const told = (what: string, answer: EngineAnswer | null): string =>
  answer ? `the ${what} was answered with ${answer.status}: ${answer.text.slice(0, 200)}` : `no answer to the ${what}`

/** Refused, reset or too late: while an engine starts these are all the same "not yet". */
async function quietCall(call: Promise<EngineAnswer>): Promise<EngineAnswer | null> {
  return call.catch(() => null)
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return null
  }
}
