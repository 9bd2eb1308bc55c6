/** What is put on a machine before its engine starts, in this order; each is shown as a phase of its own. */
export const stageNames = ['python', 'engine', 'streamer', 'model'] as const
export type StageName = (typeof stageNames)[number]

/** A way to carry out a stage: the first whose program is on the machine is taken. Argv words, never a shell line. */
export interface Way {
  /** A name that is looked up in PATH, or a path. */
  readonly program: string
  readonly commands: readonly (readonly string[])[]
}

/**
 * One stage of an installation, as data that crosses the wire: the agent carries it out. Words may hold `{env}` (the
 * Python environment), `{models}` (the cache of models), `{cache}` (that of packages) and `{folder}` (around all three).
 */
export interface Stage {
  readonly name: StageName
  readonly title: string
  /**
   * Where what it makes is kept, and so found by the next start. A half made environment is made anew, fetching a model
   * goes on where it was; null: there is nothing to keep, it is a look that is taken each time.
   */
  readonly keeps: 'env' | 'models' | null
  /** A path that must be on the machine; then nothing needs to be fetched. */
  readonly exists: string | null
  readonly ways: readonly Way[]
  /** Written before the commands run: path to text. */
  readonly files: Readonly<Record<string, string>>
  /** For these commands only, over what is the engine's. */
  readonly env: Readonly<Record<string, string>>
  /** Folders whose growth is its size and speed. */
  readonly measures: readonly string[]
  /** Names of the secrets that these commands may see; `UV_*` stands for all that begin so. */
  readonly secrets: readonly string[]
  /** Free disk without which it is not begun. */
  readonly needsMib: number
  readonly limitS: number
  /** How often it is tried where trying again may help. */
  readonly tries: number
}

/** How a stage is shown. */
export const phaseOfStage = {
  python: 'python_install',
  engine: 'engine_install',
  streamer: 'streamer_install',
  model: 'model_fetch',
} as const satisfies Record<StageName, string>

/** What stands before the size in the one line by which a command tells how many bytes it is about to fetch. */
export const expectWord = 'flightdeck: expect '

/** Names among `all` that one of the patterns means. */
export function namesMeant(patterns: readonly string[], all: readonly string[]): string[] {
  const means = (pattern: string, name: string) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
  return all.filter((name) => patterns.some((pattern) => means(pattern, name)))
}
