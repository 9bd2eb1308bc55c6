import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('a line that cannot be written ends nothing', async () => {
  const program = `
    import { makeLog } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))}
    const log = makeLog('test', 'info')
    for (let i = 0; i < 3; i++) log.info({ i }, 'a line')
    process.exitCode = 7`
  const full = openSync('/dev/full', 'w')
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', full] })
  closeSync(full)
  expect(await once(child, 'exit')).toEqual([7, null])
})
