// Loaded into a control plane's process before anything else: its wall clock is wrong by the milliseconds in the file that
// the address of this module names, and as many more have passed by every clock; read again at SIGUSR2.
import { readFileSync } from 'node:fs'

interface Shift {
  readonly wrongByMs: number
  readonly passedMs: number
}

const file = new URL(import.meta.url).searchParams.get('file') ?? ''
const trueNow = Date.now
const trueMonotonic = performance.now.bind(performance)
const read = () => JSON.parse(readFileSync(file, 'utf8')) as Shift

let shift = read()
Date.now = () => trueNow() + shift.wrongByMs + shift.passedMs
performance.now = () => trueMonotonic() + shift.passedMs
process.on('SIGUSR2', () => {
  shift = read()
})
