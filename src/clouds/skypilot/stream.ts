import { stepText, withoutColours } from './plain-text.ts'

/** `line`: something was written. `step`: what SkyPilot works on now. `retry`: the server asks to be called again. */
export interface StreamItem {
  readonly kind: 'line' | 'step' | 'retry'
  readonly text: string
  /** Its place in the request's own output, the same in every replay; 0: said by the connection. */
  readonly n: number
}

type Said = Omit<StreamItem, 'n'>

const payload = /^(.*?)<sky-payload[^>]*>(.*)<\/sky-payload[^>]*>$/
const control = /^<(\w+)>(.*?)(?:<\/\1>)?$/s
// Not `rich_start`: a spinner that goes on begins with what it showed last, which may be long over.
const steps = new Set(['rich_init', 'rich_update'])
// Said by the connection and not by the request: a replay may hold more or fewer of them.
const ofTheConnection = /^(Checking request: |Waiting for '[^']*' request to be scheduled)/
const longestLine = 8_192

/** Reads the `console` format as it comes in, wherever it is cut. Nothing is told twice: not a step, not a replay. */
export class StreamDecoder {
  #rest = ''
  /** Items of the request's own that came over this connection, and over the longest one so far. */
  #seen = 0
  #told = 0
  #lastStep = ''
  readonly #connectionSteps = new Set<string>()

  push(chunk: string): StreamItem[] {
    const lines = (this.#rest + chunk).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > longestLine) {
      lines.push(this.#rest.slice(0, longestLine))
      this.#rest = this.#rest.slice(longestLine)
    }
    return lines.flatMap((line) => this.#read(line))
  }

  /** What stood behind the last line's end. */
  end(): StreamItem[] {
    const rest = this.#rest.replace(/\r$/, '')
    this.#rest = ''
    return rest === '' ? [] : this.#read(rest)
  }

  /** A new connection: the server begins from the start, for there is no way to ask for the rest. */
  reconnect(): void {
    this.#rest = ''
    this.#seen = 0
  }

  #read(line: string): StreamItem[] {
    const found = payload.exec(line)
    if (!found) return this.#tell({ kind: 'line', text: withoutColours(line) })
    const [, before = '', json = ''] = found
    const written = before === '' ? [] : this.#tell({ kind: 'line', text: withoutColours(before) })
    const item = readControl(json)
    return item ? [...written, ...this.#tell(item)] : written
  }

  #tell(item: Said): StreamItem[] {
    // Said once more by every server that stops, and in no replay.
    if (item.kind === 'retry') return [{ ...item, n: 0 }]
    if (item.text === '') return []
    if (ofTheConnection.test(item.text)) return this.#firstOfItsKind(item)
    this.#seen += 1
    if (this.#seen <= this.#told) return []
    this.#told = this.#seen
    if (item.kind === 'step' && item.text === this.#lastStep) return []
    if (item.kind === 'step') this.#lastStep = item.text
    return [{ ...item, n: this.#seen }]
  }

  #firstOfItsKind(item: Said): StreamItem[] {
    if (this.#connectionSteps.has(item.text)) return []
    this.#connectionSteps.add(item.text)
    return [{ ...item, n: 0 }]
  }
}

function readControl(json: string): Said | null {
  let text: unknown
  try {
    text = JSON.parse(json)
  } catch {
    // A payload of a kind that we do not know is nothing to show.
    return null
  }
  const [, name = '', content = ''] = control.exec(typeof text === 'string' ? text : '') ?? []
  if (name === 'retry') return { kind: 'retry', text: stepText(content) }
  return steps.has(name) ? { kind: 'step', text: stepText(content) } : null
}
