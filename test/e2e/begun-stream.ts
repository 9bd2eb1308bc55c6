import { expect } from 'vitest'

/** A streamed answer of which a token has arrived; `whole` resolves with all of it when it is over. */
export interface BegunStream {
  readonly whole: Promise<string>
}

/** Waits for the first token: from here on the client has seen status 200 and a part of the answer. */
export async function begunStream(reply: Response): Promise<BegunStream> {
  expect(reply.status).toBe(200)
  expect(reply.headers.get('content-type')).toContain('text/event-stream')
  if (!reply.body) throw new Error('the answer has no body')
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader()
  let begun = ''
  while (!/"content": ?"[^"]/.test(begun)) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`it was over before its first token: ${begun}`)
    begun += value
  }
  const whole = restOf(reader, begun)
  // Whoever waits for it later hears of it then.
  whole.catch(() => undefined)
  return { whole }
}

async function restOf(reader: ReadableStreamDefaultReader<string>, begun: string): Promise<string> {
  let text = begun
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text
    text += value
  }
}

/** Its last event is an error, in the one shape of errors: nobody takes it for a whole answer. */
export function endsAsBroken(text: string): void {
  const events = text
    .split('\n\n')
    .flatMap((event) => (event.startsWith('data: ') ? [event.slice('data: '.length)] : []))
  expect(events).not.toContain('[DONE]')
  expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({
    error: { message: expect.any(String), type: expect.any(String) },
  })
}
