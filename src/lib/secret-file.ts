import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { codeOf } from './error-code.ts'

/**
 * A secret of this data set: read, or made on first use, in a file that only its owner can read. Whoever dies in here
 * leaves the whole secret or none, and of several who start at once all get the same one.
 */
export function secretFile(file: string, make = () => randomBytes(32).toString('hex')): string {
  return kept(file) ?? firstOf(file, make())
}

/** Null where there is none yet. @throws Error where there is a file without a secret in it. */
function kept(file: string): string | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
  // An empty secret would open the door to everybody, and a new one would not fit what the old one sealed.
  if (text === '') throw new Error(`${file} is empty: put its backup back, or delete it to have a new one made.`)
  return text
}

/** The link appears with its content or not at all, and only one can be made. */
function firstOf(file: string, secret: string): string {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const draft = `${draftOf(file)}${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    writeDurably(draft, secret)
    linkSync(draft, file)
  } catch (error) {
    // Somebody was first, and may have swept our draft away already.
    if (!['EEXIST', 'ENOENT'].includes(codeOf(error))) throw error
  } finally {
    rmSync(draft, { force: true })
  }
  forgetDrafts(file)
  syncFolder(folder)
  return kept(file) ?? secretFile(file, () => secret)
}

const draftOf = (file: string): string => join(dirname(file), `.${basename(file)}.draft.`)

/** Of those who died before the link, or who come too late: the secret is decided. */
function forgetDrafts(file: string): void {
  const beginning = basename(draftOf(file))
  for (const name of readdirSync(dirname(file))) {
    if (name.startsWith(beginning)) rmSync(join(dirname(file), name), { force: true })
  }
}

function writeDurably(file: string, text: string): void {
  const handle = openSync(file, 'wx', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
