import { createServer, type Server, type Socket } from 'node:net'

/** A message of PostgreSQL's protocol: its letter, its length, what it says. */
function message(letter: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.write(letter)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
const int32 = (value: number): Buffer => Buffer.concat([int16(value >>> 16), int16(value & 0xffff)])
const ended = (text: string): Buffer => Buffer.from(`${text}\0`)
const value = (text: string): Buffer => Buffer.concat([int32(text.length), Buffer.from(text)])
const textType = Buffer.concat([int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)])
const readyForQuery = message('Z', Buffer.from('I'))

/** A server that lets everybody in, gives its version as the answer to everything, and keeps what it was asked. */
export class OldPostgresql {
  readonly asked: string[] = []
  readonly #server: Server = createServer((socket) => this.#welcome(socket))
  readonly #answer: Buffer

  constructor(number: string, version: string) {
    const columns = ['number', 'version'].flatMap((name) => [ended(name), textType])
    const row = message('D', int16(2), value(number), value(version))
    this.#answer = Buffer.concat([message('T', int16(2), ...columns), row, message('C', ended('SELECT 1'))])
  }

  /** Resolves to its address. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    return `postgres://ann@127.0.0.1:${typeof address === 'object' ? address?.port : ''}/fleet`
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #welcome(socket: Socket): void {
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', int32(0)), readyForQuery]))
      socket.on('data', (chunk) => {
        if (chunk.toString('latin1', 0, 1) !== 'Q') return socket.end()
        this.asked.push(chunk.toString('utf8', 5, chunk.length - 1))
        socket.write(Buffer.concat([this.#answer, readyForQuery]))
      })
    })
    socket.on('error', () => socket.destroy())
  }
}
