/** Colours by meaning. Each is the identity where no colour is wanted. */
export interface Paint {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
}

/** How a picture may look: its size, its colours, and whether more than ASCII can be shown. */
export interface Look {
  /** Infinite where nobody looks: a pipe gets whole values. */
  readonly columns: number
  readonly rows: number
  readonly paint: Paint
  readonly unicode: boolean
}

export interface Terminal {
  /** Whether standard output is a screen that can be redrawn. */
  readonly interactive: boolean
  look(): Look
  out(text: string): void
  err(text: string): void
}

const same = (text: string) => text
export const noPaint: Paint = { good: same, bad: same, warn: same, dim: same, bold: same }

const sgr = (on: number, off: number) => (text: string) => (text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`)
export const colours: Paint = {
  good: sgr(32, 39),
  bad: sgr(31, 39),
  warn: sgr(33, 39),
  dim: sgr(2, 22),
  bold: sgr(1, 22),
}

type Env = Readonly<Record<string, string | undefined>>

export function processTerminal(env: Env = process.env): Terminal {
  const { stdout, stderr } = process
  const interactive = stdout.isTTY === true && env.TERM !== 'dumb'
  const paint = interactive && !env.NO_COLOR ? colours : noPaint
  const unicode = /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '')
  return {
    interactive,
    look: () => ({
      // A terminal that was never told its size says 0.
      columns: interactive ? stdout.columns || 80 : Number.POSITIVE_INFINITY,
      rows: interactive ? stdout.rows || 24 : Number.POSITIVE_INFINITY,
      paint,
      unicode,
    }),
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
  }
}

/** For what must not stop half-way when its reader leaves: a terminal that is closed, a pipe into `head`. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error')
    stream.on('error', () => undefined)
  }
}
