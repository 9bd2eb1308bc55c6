import type { HearStep } from '../clouds/cloud.ts'
import { saveSteps, type ToldStep } from '../store/steps.ts'
import type { ControlDeps } from './context.ts'

// What comes within this time is written at once; people should see it within a second.
const gatherMs = 100
// While the database is away only so much is kept: the rest is a line on a screen, and the cloud's own log has it.
const mostKept = 2_000

/** Writes what clouds tell of their work, for people to see. This is no loop: nothing is decided by it. */
export function keepSteps({ db, clouds, clock, log }: Pick<ControlDeps, 'db' | 'clouds' | 'clock' | 'log'>) {
  let told: ToldStep[] = []
  let writing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | null = null
  const write = (): void => {
    timer = null
    const batch = told
    told = []
    writing = writing.then(() =>
      saveSteps(db, batch).catch((error: unknown) => {
        log.warn({ err: error }, 'steps of launches could not be written')
        told = [...batch, ...told].slice(0, mostKept)
      }),
    )
  }
  const hear: HearStep = ({ name, n, text }) => {
    if (told.length < mostKept) told.push({ machine: name, n, text, at: clock.now() })
    timer ??= setTimeout(write, gatherMs)
  }
  for (const cloud of clouds.values()) cloud.onStep?.(hear)
  return {
    /** Writes what is left. */
    async stop(): Promise<void> {
      if (timer) {
        clearTimeout(timer)
        write()
      }
      await writing
    },
  }
}
