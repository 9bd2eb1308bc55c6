import { join } from 'node:path'
import type { Stage } from '../core/stage.ts'

/** A stage whose one command is a script; for people who write recipes there is no shell, for tests it is handy. */
export function scripted(name: Stage['name'], script: string, over: Partial<Stage> = {}): Stage {
  return {
    name,
    title: `the ${name}`,
    keeps: name === 'model' ? 'models' : 'env',
    exists: null,
    ways: [{ program: 'sh', commands: [['sh', '-c', script]] }],
    files: {},
    env: {},
    measures: ['{env}'],
    secrets: [],
    needsMib: 1,
    limitS: 60,
    tries: 3,
    ...over,
  }
}

/** Says into `two` when another installer lives beside it; one that is dead and not yet reaped does not. */
export const onlyOne = (folder: string): string => {
  const pids = join(folder, 'pids')
  const two = join(folder, 'two')
  return `for pid in $(cat ${pids} 2>/dev/null); do grep -qs '^State:.[^ZX]' /proc/$pid/status && echo $pid $$ >>${two}; done; echo $$ >>${pids}`
}
