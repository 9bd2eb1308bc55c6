import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { CommandDeps } from '../commands/context.ts'
import { Failure } from '../core/failure.ts'
import { playgroundKeyOf } from '../intake/playground.ts'
import { servedByHeader } from '../wire/gateway.ts'
import { type Handlers, Streamed } from './asked.ts'

export interface ChatDeps extends Pick<CommandDeps, 'vault'> {
  /** Of the gateway on this machine, as programs on it call it; absent: there is none. */
  readonly gatewayUrl?: string
}

/** A chat with a model for people who try it out: it takes the way that every client's request takes, through the gateway. */
export function chatHandlers({ vault, gatewayUrl }: ChatDeps): Handlers<'chat'> {
  return {
    async chat({ body, gone }) {
      if (!gatewayUrl) throw new Failure('gateway_away', 'No gateway is served beside this control plane.')
      const answer = await fetch(`${gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${playgroundKeyOf(vault)}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
        redirect: 'error',
        signal: gone(),
      }).catch((error: unknown) => {
        throw new Failure('gateway_away', `The gateway did not answer: ${causeOf(error)}.`)
      })
      if (!answer.ok || answer.body === null) throw await refusalIn(answer)
      const servedBy = answer.headers.get(servedByHeader)
      return new Streamed(Readable.fromWeb(answer.body as ReadableStream), {
        'content-type': 'text/event-stream; charset=utf-8',
        ...(servedBy === null ? {} : { [servedByHeader]: servedBy }),
      })
    },
  }
}

const causeOf = (error: unknown): string => {
  const { cause } = error as { cause?: unknown }
  const told = cause instanceof Error ? cause : error
  return told instanceof Error ? told.message : String(told)
}

/** The gateway's own words, which are OpenAI's shape. */
async function refusalIn(answer: Response): Promise<Failure> {
  const text = await answer.text()
  const told = /"message"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text)?.[1]
  const cause = told === undefined ? `It answered with status ${answer.status}.` : (JSON.parse(told) as string)
  return new Failure('chat_refused', cause.slice(0, 2_000), {}, { status: answer.status })
}
