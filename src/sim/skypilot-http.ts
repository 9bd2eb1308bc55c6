import type { IncomingMessage, ServerResponse } from 'node:http'

/** A call as it came in. */
export interface SkyCall {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>>
}

export async function readCall(request: IncomingMessage): Promise<SkyCall> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
  const { method = '', headers } = request
  return { method, url: new URL(request.url ?? '/', 'http://127.0.0.1'), headers, body }
}

export function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
