// Loaded into a control plane's process before anything else: its wall clock is wrong by the milliseconds in the file that
// the address of this module names, read again at SIGUSR2. The monotonic clock goes on as it did.
import { readFileSync } from 'node:fs'

const file = new URL(import.meta.url).searchParams.get('file') ?? ''
const trueNow = Date.now
const read = () => Number(readFileSync(file, 'utf8'))

let wrongByMs = read()
Date.now = () => trueNow() + wrongByMs
process.on('SIGUSR2', () => {
  wrongByMs = read()
})
