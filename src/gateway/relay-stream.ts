import type { ClientResponse } from './client-response.ts'
import { ClientStream } from './client-stream.ts'
import { EventScan, EventTooLong } from './events.ts'
import { type AnswerHead, type BodyFraming, FramingBroken } from './framing.ts'
import { errorEvent, streamBroke } from './openai-error.ts'

/** What became of a piece: `slow` asks for a pause until the client drains. */
export type Passed = 'more' | 'slow' | 'complete' | 'failed'

const ping = [Buffer.from(': ping\n\n')]

/** An event stream on its way from the engine to the client. */
export class StreamAnswer {
  readonly scan: EventScan
  /** Bytes of an engine's answer came, so no other node can go on with it. */
  begun = false
  readonly #client: ClientStream

  constructor(response: ClientResponse, headers: string[], stripUsage: boolean) {
    this.scan = new EventScan(stripUsage)
    this.#client = new ClientStream(response, headers)
  }

  flush() {
    this.#client.flush()
  }

  get drainer(): Pick<ClientResponse, 'once'> {
    return this.#client.drainer
  }

  /** Only whole events leave, so a comment may always follow. */
  ping() {
    this.#client.payload(ping)
  }

  body(bytes: Buffer, framing: BodyFraming, from: number, to: number, verbatim: boolean, last: boolean): Passed {
    this.begun = true
    const changed = this.#scan(bytes, framing)
    const asItCame = changed === null && verbatim && this.#client.speaksChunks
    if (!last && !this.scan.failed) {
      const kept = asItCame
        ? this.#client.verbatim(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
        : this.#client.payload(changed ?? payload(bytes, framing))
      return kept ? 'more' : 'slow'
    }
    const rest = this.scan.close()
    if (asItCame && this.scan.complete && rest === null) {
      this.#client.endVerbatim(bytes.subarray(from, to))
      return 'complete'
    }
    const pieces = changed ?? payload(bytes, framing)
    if (rest !== null) pieces.push(rest)
    if (this.scan.failed || this.scan.complete) this.#client.end(pieces)
    else this.#client.end([...pieces, broken('The node ended it without `[DONE]`.')])
    return this.scan.complete && !this.scan.failed ? 'complete' : 'failed'
  }

  /** The connection to the node is gone. What was whole has been passed; a `[DONE]` among it makes it complete. */
  broken(why: string): Passed {
    if (this.scan.complete) this.#client.end([])
    else this.#client.end([broken(why)])
    return this.scan.complete ? 'complete' : 'failed'
  }

  /** An answer that is no stream, after the head of one was sent already. */
  refuse(event: string) {
    this.#client.end([Buffer.from(event)])
  }

  #scan(bytes: Buffer, framing: BodyFraming): Buffer[] | null {
    try {
      return this.scan.read(bytes, framing.ranges)
    } catch (error) {
      if (error instanceof EventTooLong) throw new FramingBroken(error.message)
      throw error
    }
  }
}

const broken = (why: string) => Buffer.from(errorEvent(streamBroke(why)))

export function payload(bytes: Buffer, { ranges }: BodyFraming): Buffer[] {
  const pieces: Buffer[] = []
  for (let i = 0; i < ranges.length; i += 2) pieces.push(bytes.subarray(ranges[i], ranges[i + 1]))
  return pieces
}

export const isEventStream = (head: AnswerHead): boolean => /^text\/event-stream\s*(;|$)/i.test(head.contentType)
