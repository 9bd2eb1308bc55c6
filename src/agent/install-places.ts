import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Stage } from '../core/stage.ts'
import { sha256 } from '../lib/chance.ts'
import type { EngineSpec, Installation } from '../wire/agent.ts'

/** Where an installation lies on this machine. */
export interface Places {
  readonly folder: string
  readonly env: string
  readonly models: string
  readonly cache: string
}

const digest = (value: unknown): string => sha256(JSON.stringify(value)).slice(0, 12)

/** What decides what a stage leaves behind; limits and titles do not. */
const essence = ({ name, ways, files, env }: Stage) => ({ name, ways, files, env })

/** An environment belongs to exactly one recipe: another version gets a folder of its own beside it. */
export function placesOf({ folder, stages }: Installation, ownFolder: string): Places {
  const base = folder ?? ownFolder
  const env = `env-${digest(stages.filter(({ keeps }) => keeps === 'env').map(essence))}`
  return { folder: base, env: join(base, env), models: join(base, 'models'), cache: join(base, 'cache') }
}

export function fill(word: string, places: Places): string {
  return word.replaceAll(/\{(folder|env|models|cache)\}/g, (_, name: keyof Places) => places[name])
}

export const fillAll = (words: Readonly<Record<string, string>>, places: Places): Record<string, string> =>
  Object.fromEntries(Object.entries(words).map(([name, word]) => [name, fill(word, places)]))

/** The engine as it stands on this machine. */
export const filledSpec = (spec: EngineSpec, places: Places): EngineSpec => ({
  ...spec,
  argv: spec.argv.map((word) => fill(word, places)),
  env: fillAll(spec.env, places),
})

/** What has been done, as files beside what it made: they go where that goes. */
export class Marks {
  readonly #places: Places

  constructor(places: Places) {
    this.#places = places
  }

  isDone(stage: Stage): boolean {
    return stage.keeps !== null && existsSync(this.#path(stage, 'done'))
  }

  /** It was begun, by whomever, and nobody saw it end well. */
  isHalfDone(stage: Stage): boolean {
    return stage.keeps !== null && existsSync(this.#path(stage, 'begun')) && !this.isDone(stage)
  }

  begin(stage: Stage): void {
    if (stage.keeps === null) return
    mkdirSync(join(this.#home(stage.keeps), marksFolder), { recursive: true })
    writeFileSync(this.#path(stage, 'begun'), '')
  }

  /** Written last: what has no such mark is not taken for whole. */
  done(stage: Stage): void {
    if (stage.keeps !== null) writeFileSync(this.#path(stage, 'done'), `${stage.title}\n`)
  }

  /** The marks go with it. */
  forgetEnv(): void {
    rmSync(this.#places.env, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Of what is not part of the environment, so that two nodes do not fetch it side by side. */
  lockOf(stage: Stage): string {
    mkdirSync(join(this.#home('models'), marksFolder), { recursive: true })
    return this.#path(stage, 'lock')
  }

  #home(keeps: 'env' | 'models'): string {
    return keeps === 'env' ? this.#places.env : this.#places.models
  }

  #path(stage: Stage, what: 'begun' | 'done' | 'lock'): string {
    const home = this.#home(stage.keeps === 'models' ? 'models' : 'env')
    return join(home, marksFolder, `${stage.name}-${digest(essence(stage))}.${what}`)
  }
}

const marksFolder = '.flightdeck'
