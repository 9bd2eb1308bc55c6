import { problemIn } from '../../src/wire/client.ts'
import { servedByHeader } from '../../src/wire/gateway.ts'
import { routes } from '../../src/wire/routes.ts'
import type { StatusView } from '../../src/wire/views.ts'
import { failureOf, speak } from '../api/client.ts'
import { shellWord } from '../words/shell.ts'
import { type Answer, broken, failed, isOpen, noAnswer, splitEvents, take } from './answer.ts'

export interface Turn {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface Question {
  readonly model: string
  readonly messages: readonly Turn[]
  readonly max_tokens?: number
}

/** Asks, and tells the answer as it grows. Never rejects: whatever goes wrong is part of the answer. */
export async function ask(question: Question, signal: AbortSignal, tell: (answer: Answer) => void): Promise<void> {
  let answer = noAnswer
  const become = (next: Answer) => {
    answer = next
    tell(next)
  }
  const sentAt = performance.now()
  try {
    const { method, path } = routes.chat
    const headers = { 'content-type': 'application/json' }
    const response = await speak(path, { method, headers, body: JSON.stringify(question), signal })
    const { headers: told, body } = response
    become({ ...answer, node: told.get(servedByHeader), requestId: told.get('x-request-id') })
    if (!response.ok || !body) return become(failed(answer, problemIn(await response.text(), response)))
    for await (const data of eventsOf(body)) become(take(answer, data, performance.now() - sentAt))
    if (isOpen(answer)) become(broken(answer, 'The answer ended before it was complete.'))
  } catch (error) {
    if (signal.aborted) return become({ ...answer, state: 'stopped' })
    const { cause, remedy } = failureOf(error).error
    const why =
      answer.requestId === null ? `No answer came: ${cause}.` : `The stream broke before it was complete: ${cause}.`
    become(broken(answer, why, remedy, 'unreachable'))
  }
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let held = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const { events, rest } = splitEvents(held + decoder.decode(value, { stream: true }))
    held = rest
    yield* events
  }
}

/** Where programs call: the gateway at the host that the page came from, else the one that was heard last. */
export function gatewayFor(gateways: StatusView['gateways'], hostname: string): string | null {
  const newest = [...gateways].sort((a, b) => (a.seenAt < b.seenAt ? 1 : -1))
  const near = newest.find(({ url }) => URL.canParse(url) && new URL(url).hostname === hostname)
  return (near ?? newest[0])?.url.replace(/\/+$/, '') ?? null
}

/** The question as a client of the gateway asks it with curl. The key stays in the environment of the shell. */
export function curlOf(gatewayUrl: string, question: Question): string {
  return [
    `curl -N ${shellWord(`${gatewayUrl}/v1/chat/completions`)}`,
    '-H "authorization: Bearer $FLIGHTDECK_API_KEY"',
    "-H 'content-type: application/json'",
    `-d ${shellWord(JSON.stringify({ ...question, stream: true }))}`,
  ].join(' \\\n  ')
}
