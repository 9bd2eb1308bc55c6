import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../../../test/fixtures/skypilot')

/** A file that was recorded from a real API server. */
export const recorded = (name: string): string => readFileSync(join(folder, name), 'utf8')
export const recordedJson = (name: string): unknown => JSON.parse(recorded(name))

/** A recorded stream as it came over the wire: without the seconds before each line. */
export const recordedStream = (name: string): string =>
  recorded(name)
    .split('\n')
    .map((line) => line.replace(/^ *\d+\.\d+ ?/, ''))
    .join('\n')
