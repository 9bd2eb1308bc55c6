import type { Socket } from 'node:net'

/** What an answer to a client needs of its way out: `ServerResponse` has it, and so has the short lane. */
export interface ClientResponse {
  readonly headersSent: boolean
  readonly destroyed: boolean
  /** Null while an earlier answer on the same connection is not over. */
  readonly socket: Socket | null
  readonly req: { readonly httpVersionMinor: number }
  /** False: the writer frames the body itself. */
  chunkedEncoding: boolean
  shouldKeepAlive: boolean
  writeHead(status: number, headers: string[]): unknown
  flushHeaders(): void
  write(bytes: Buffer): boolean
  end(bytes?: Buffer): unknown
  end(text: string, encoding: BufferEncoding): unknown
  destroy(): unknown
  on(event: 'close', listener: () => void): unknown
  once(event: 'drain', listener: () => void): unknown
}
