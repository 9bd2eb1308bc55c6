// Stands in for a program that a rented machine may have and this host need not: knows the options that the set-up uses
// and no others, and fails as the real one does. Deliberately absent: running Python; test/real/set-up.test.ts does.
import { createHash } from 'node:crypto'
import { createWriteStream, readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { get as getSecure } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { codeOf } from '../src/lib/error-code.ts'

const flag = { type: 'boolean' } as const
const value = { type: 'string' } as const
const letters = (type: typeof flag | typeof value, short: string) =>
  Object.fromEntries([...short].map((letter) => [letter, { ...type, short: letter }]))

/** What went wrong, whatever the program calls it. */
type Trouble = 'refused' | 'status' | 'cut' | 'full' | 'untrusted'

const troubleOf: Record<string, Trouble> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'cut',
  ERR_STREAM_PREMATURE_CLOSE: 'cut',
  ENOSPC: 'full',
  SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
}

class BadStatus extends Error {}

function answerOf(url: string, rejectUnauthorized: boolean): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = url.startsWith('https:') ? getSecure(url, { rejectUnauthorized }, resolve) : get(url, resolve)
    asked.on('error', reject)
  })
}

/** Null: all of it is there. */
async function download(url = '', path = '', insecure = false): Promise<Trouble | null> {
  try {
    const answer = await answerOf(url, !insecure)
    if (answer.statusCode !== 200) {
      answer.destroy()
      throw new BadStatus()
    }
    await pipeline(answer, createWriteStream(path))
    return null
  } catch (error) {
    const trouble = error instanceof BadStatus ? 'status' : troubleOf[codeOf(error)]
    if (!trouble) throw error
    return trouble
  }
}

/** Says what the program says last, and ends as it does. */
function end(words: string | undefined, code = 0): void {
  if (words) (code === 0 ? console.log : console.error)(words)
  process.exitCode = code
}

async function curl(args: string[]): Promise<void> {
  const options = { ...letters(flag, 'fsSL'), ...letters(value, 'o'), insecure: flag }
  const times = { 'connect-timeout': value, 'speed-limit': value, 'speed-time': value }
  const { values, positionals } = parseArgs({ args, options: { ...options, ...times }, allowPositionals: true })
  const { o, insecure } = values as { o?: string; insecure?: boolean }
  const ends: Record<Trouble, [number, string]> = {
    refused: [7, "Failed to connect: Couldn't connect to server"],
    status: [22, 'The requested URL returned error: 404'],
    cut: [18, 'transfer closed with outstanding read data remaining'],
    full: [23, 'Failure writing output to destination'],
    untrusted: [60, 'SSL certificate problem: self-signed certificate in certificate chain'],
  }
  const trouble = await download(positionals[0], o, insecure)
  if (trouble) end(`curl: (${ends[trouble][0]}) ${ends[trouble][1]}`, ends[trouble][0])
}

async function wget(args: string[]): Promise<void> {
  if (args[0] === '--version') return end('GNU Wget 1.21.3 built on linux-gnu.')
  const options = { ...letters(flag, 'nv'), ...letters(value, 'TOt'), 'no-check-certificate': flag }
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const { O, 'no-check-certificate': insecure } = values as { O?: string; 'no-check-certificate'?: boolean }
  const ends: Record<Trouble, [number, string]> = {
    refused: [4, 'failed: Connection refused.'],
    status: [8, '2026-01-01 00:00:00 ERROR 404: Not Found.'],
    cut: [4, 'Read error at byte 500/1000 (Success).Giving up.'],
    full: [3, 'Cannot write to the file (No space left on device).'],
    untrusted: [5, "ERROR: The certificate of the host doesn't have a known issuer."],
  }
  const trouble = await download(positionals[0], O, insecure)
  if (trouble) end(ends[trouble][1], ends[trouble][0])
}

/** It has not got Python: it makes sure that the code arrived whole, and does what that does. */
async function python3([option, code, ...args]: string[]): Promise<void> {
  const { pythonGet, pythonSum } = await import('../src/clouds/skypilot/run-script.ts')
  if (option === '-c' && code === pythonSum) return end(sha256OfInput())
  if (option !== '-c' || code !== pythonGet) return end('SyntaxError: invalid syntax', 1)
  const [url, path, trust] = args
  const ends: Record<Trouble, string> = {
    refused: 'urllib.error.URLError: <urlopen error [Errno 111] Connection refused>',
    status: 'urllib.error.HTTPError: HTTP Error 404: Not Found',
    cut: 'the connection was cut',
    full: 'OSError: [Errno 28] No space left on device',
    untrusted: 'urllib.error.URLError: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed>',
  }
  const trouble = await download(url, path, trust === '')
  if (trouble) end(ends[trouble], 1)
}

const sha256OfInput = (): string => createHash('sha256').update(readFileSync(0)).digest('hex')

/** Prints the sum as the program does, if it is asked as it wants to be asked. */
const summing = (asked: string, rest: string) => async (args: string[]) =>
  args.join(' ') === asked ? end(`${sha256OfInput()} ${rest}`) : end(`not asked for "${asked}"`, 2)

const programs: Record<string, (args: string[]) => Promise<void>> = {
  curl,
  wget,
  python3,
  shasum: summing('-a 256', ' -'),
  openssl: summing('dgst -sha256 -r', '*stdin'),
}

const [name = '', ...args] = process.argv.slice(2)
await programs[name]?.(args)
