import type { ServerResponse } from 'node:http'
import { isOpen, type Request } from './skypilot-answers.ts'
import type { SkyFaults } from './skypilot-faults.ts'
import { cursorIsBack, spinner, spinnerStops } from './skypilot-said.ts'

// As recorded: a log is flushed every 20 ms, and the line is closed half a second after the request was over.
const flushMs = 20
const closesAfterMs = 500

/** What a request has written so far, and then more until it is over; the connection has its own words around it. */
export function streamOf(request: Request, faults: SkyFaults, response: ServerResponse, pace: number): void {
  let sent = 0
  let begun = false
  const say = (lines: readonly string[]) => lines.length > 0 && response.write(`${lines.join('\n')}\n`)
  const end = (): void => {
    const cancelled = request.status === 'CANCELLED' ? [`'${request.verb}' request ${request.id} cancelled`] : []
    say([cursorIsBack, ...cancelled])
    response.end()
  }
  const more = (): void => {
    if (response.destroyed) return
    const mute = faults.muteStreams && isOpen(request)
    if (!mute && !begun && request.status !== 'PENDING') {
      begun = true
      say([spinnerStops])
    }
    const lines = mute ? [] : request.log.slice(sent)
    sent += lines.length
    if (lines.length > 0 && faults.cutStreams > 0) {
      faults.cutStreams -= 1
      const text = lines.join('\n')
      response.write(text.slice(0, text.length / 2), () => response.destroy())
      return
    }
    say(lines)
    if (isOpen(request)) setTimeout(more, flushMs)
    else setTimeout(end, closesAfterMs * pace)
  }
  response.writeHead(200, { 'content-type': 'text/plain' })
  if (!faults.muteStreams) say(before(request))
  more()
}

/** Said while the request waits for a worker; a replay has it only where it still does. */
function before({ id, verb, status }: Request): string[] {
  const dim = (text: string, control: 'rich_init' | 'rich_start' | 'rich_update') =>
    spinner(text, { control, style: 'dim' })
  const checking = `Checking request: ${id}`
  const waiting = `Waiting for '${verb}' request to be scheduled: ${id}`
  const waits = status === 'PENDING' ? [dim(waiting, 'rich_update')] : []
  return [dim(checking, 'rich_init'), dim(checking, 'rich_start'), ...waits]
}
