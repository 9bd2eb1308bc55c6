import type { AnswerHead } from './framing.ts'

/** What the engine asks a client to wait, in seconds; a minute at most. */
export function retryAfter(head: AnswerHead): number | null {
  const at = head.headers.indexOf('retry-after')
  const seconds = at >= 0 && at % 2 === 0 ? Number(head.headers[at + 1]) : Number.NaN
  return seconds >= 0 ? Math.min(60, Math.ceil(seconds)) : null
}

/** The engine's headers that concern the client. Everything about the connection, its cookies and its kin stays here. */
export function passedHeaders(head: AnswerHead, requestId: string): string[] {
  const passed = ['x-request-id', requestId]
  const { headers } = head
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (!isWithheld(name)) passed.push(name, headers[i + 1] as string)
  }
  return passed
}

function isWithheld(name: string): boolean {
  switch (name) {
    case 'connection':
    case 'keep-alive':
    case 'transfer-encoding':
    case 'content-length':
    case 'te':
    case 'trailer':
    case 'upgrade':
    case 'server':
    case 'date':
    case 'set-cookie':
    case 'www-authenticate':
    case 'x-request-id':
    // Of the engine's own CORS, whose other headers stay here too.
    case 'vary':
    case 'alt-svc':
    case 'strict-transport-security':
      return true
    default:
      return name.startsWith('proxy-') || name.startsWith('x-flightdeck-') || name.startsWith('access-control-')
  }
}
