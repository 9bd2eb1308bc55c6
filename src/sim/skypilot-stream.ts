import type { ServerResponse } from 'node:http'
import { isOpen, type Request } from './skypilot-answers.ts'
import type { SkyFaults } from './skypilot-faults.ts'

// As recorded: a log is flushed every 20 ms.
const flushMs = 20

/** What a request has written so far, and then more until it is over. */
export function streamOf(request: Request, faults: SkyFaults, response: ServerResponse): void {
  let sent = 0
  const more = (): void => {
    if (response.destroyed) return
    const lines = faults.muteStreams && isOpen(request) ? [] : request.log.slice(sent)
    sent += lines.length
    if (lines.length > 0 && faults.cutStreams > 0) {
      faults.cutStreams -= 1
      const text = lines.join('\n')
      response.write(text.slice(0, text.length / 2), () => response.destroy())
      return
    }
    if (lines.length > 0) response.write(`${lines.join('\n')}\n`)
    if (!isOpen(request)) response.end()
    else setTimeout(more, flushMs)
  }
  response.writeHead(200, { 'content-type': 'text/plain' })
  more()
}
