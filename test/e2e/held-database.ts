import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Where the talk between a control plane and its database stops. */
export interface Cut {
  /** What is said in one transaction up to there: statements, and values that are text. */
  readonly says: RegExp
  /** `answer`: the server has committed it, and its word stays here. `statement`: the server never hears of it. */
  readonly loses: 'answer' | 'statement'
}

interface Awaited {
  readonly cut: Cut
  readonly reached: () => void
}

/** Passes on what control planes and their PostgreSQL say, and stops one connection in the moment that a test waits for. */
export class HeldDatabase {
  readonly #socket: string
  readonly #user: string
  readonly #server: Server
  awaited: Awaited | null = null

  private constructor(user: string, socket: string) {
    this.#user = user
    this.#socket = socket
    this.#server = createServer((client) => new Talk(this, client, connect(this.#socket)))
  }

  /** Before the server of an address like `postgres://user@/database?host=/folder`. */
  static async before(url: string): Promise<HeldDatabase> {
    const [, user = '', folder = ''] = /^postgres:\/\/([^@]+)@\/.*[?]host=([^&]+)/.exec(url) ?? []
    const held = new HeldDatabase(user, `${decodeURIComponent(folder)}/.s.PGSQL.5432`)
    await new Promise<void>((resolve) => held.#server.listen(0, '127.0.0.1', resolve))
    return held
  }

  get url(): string {
    return `postgres://${this.#user}@127.0.0.1:${(this.#server.address() as AddressInfo).port}/flightdeck`
  }

  /** Holds the next connection on which that is said, and no other. Resolves as soon as it stands still. */
  holds(cut: Cut): Promise<void> {
    return new Promise((reached) => {
      this.awaited = { cut, reached }
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

/** One connection, as two rows of messages. */
class Talk {
  readonly #held: HeldDatabase
  #said = ''
  #answer: Buffer[] = []
  #stands = false

  constructor(held: HeldDatabase, client: Socket, server: Socket) {
    this.#held = held
    const [asked, answered] = [new Messages(false), new Messages(true)]
    client.on('data', (chunk) => {
      for (const message of asked.in(chunk)) this.#ask(message, server)
    })
    server.on('data', (chunk) => {
      for (const message of answered.in(chunk)) this.#reply(message, client)
    })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // A control plane is killed here on purpose, and a server may be stopped.
      one.on('error', () => one.destroy())
      one.on('close', () => other.destroy())
    }
  }

  #isAt(loses: Cut['loses']): boolean {
    const { awaited } = this.#held
    return awaited?.cut.loses === loses && awaited.cut.says.test(this.#said)
  }

  #stand(): void {
    this.#stands = true
    this.#held.awaited?.reached()
    this.#held.awaited = null
  }

  #ask(message: Buffer, server: Socket): void {
    this.#said += message.toString('latin1')
    if (this.#isAt('statement')) this.#stand()
    if (!this.#stands) server.write(message)
  }

  #reply(message: Buffer, client: Socket): void {
    if (this.#stands) return
    this.#answer.push(message)
    const [letter, status] = [message.toString('latin1', 0, 1), message.toString('latin1', 5)]
    // "Ready, and in no transaction": only now is it committed for certain.
    const isOver = letter === 'Z' && status === 'I'
    if (this.#isAt('answer')) {
      if (letter !== 'Z') return
      if (isOver && !this.#answer.some(undoes)) this.#stand()
    }
    if (this.#stands) return
    client.write(Buffer.concat(this.#answer))
    this.#answer = []
    if (isOver) this.#said = ''
  }
}

const undoes = (message: Buffer): boolean => /^(E|C[\s\S]{4}ROLLBACK)/.test(message.toString('latin1'))

/** PostgreSQL's protocol: a letter, a length, what is said. What a client says first has no letter. */
class Messages {
  #rest: Buffer = Buffer.alloc(0)
  #lettered: boolean

  constructor(lettered: boolean) {
    this.#lettered = lettered
  }

  /** Those that are whole with this piece. */
  in(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const whole: Buffer[] = []
    for (;;) {
      const start = this.#lettered ? 1 : 0
      const end = this.#rest.length < start + 4 ? Number.POSITIVE_INFINITY : start + this.#rest.readInt32BE(start)
      if (this.#rest.length < end) return whole
      whole.push(this.#rest.subarray(0, end))
      this.#rest = this.#rest.subarray(end)
      this.#lettered = true
    }
  }
}
